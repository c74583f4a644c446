#include "strategies/uniap/search_proof.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strategies/uniap/test_costs.h"

namespace soapbox::strategies::uniap {
namespace {

using testing::HasSubstr;

UnifiedRequest request_of(const LayerCosts& costs) {
  return {.costs = costs, .options = {}, .global_batch = 8, .planner = **find_planner("miqp")};
}

TEST(SearchProof, HoldsForEveryMemory) {
  for (const int64_t limit : {60, 90, 150, 250, 400, 1000}) {
    const RoundCosts costs(4, 4, mebibytes(limit));
    const UnifiedRequest request = request_of(costs);
    const UnifiedOutcome outcome = unified_search(request);
    const auto proof = prove_search(request, outcome);
    ASSERT_TRUE(proof) << proof.error().message;
    const auto report = check_search(request, *proof);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->proven) << limit;
    EXPECT_EQ(report->cells, outcome.cells.size());
    ASSERT_EQ(report->objective_s.has_value(), outcome.best.has_value());
    if (!outcome.best) continue;
    const double best_s = outcome.best->objective.total_s;
    EXPECT_NEAR(*report->objective_s, best_s, 1e-9 * best_s);
    EXPECT_NEAR(report->bound_s, best_s, 1e-9 * best_s);
  }
}

TEST(SearchProof, RefusesWhatDoesNotHold) {
  const RoundCosts costs(4, 4, mebibytes(250));
  const UnifiedRequest request = request_of(costs);
  const UnifiedOutcome outcome = unified_search(request);
  const std::vector<CellProof> proof = *prove_search(request, outcome);
  const auto refusal = [&](const std::vector<CellProof>& changed) {
    const auto report = check_search(request, changed);
    return report ? std::string() : report.error().message;
  };
  ASSERT_EQ(refusal(proof), "");
  std::vector<CellProof> changed = proof;
  changed.erase(changed.begin() + 3);
  EXPECT_THAT(refusal(changed), HasSubstr("in its place"));
  changed = proof;
  changed.push_back(proof[0]);
  EXPECT_THAT(refusal(changed), HasSubstr("more cells"));
  for (size_t i = 0; i < proof.size(); ++i) {
    if (!proof[i].certificate) continue;
    changed = proof;
    changed[i].certificate.reset();
    EXPECT_THAT(refusal(changed), HasSubstr("there is no certificate")) << i;
    changed = proof;
    ++changed[i].certificate->bound;
    EXPECT_NE(refusal(changed), "") << i;
  }
  // Costs that differ are another instance in every cell.
  const RoundCosts more(4, 4, mebibytes(251));
  EXPECT_FALSE(check_search(request_of(more), proof));
}

// Without the best cell's plan, the bounds of the others remain.
TEST(SearchProof, IsNotProvenWithoutThePlan) {
  const RoundCosts costs(4, 4, mebibytes(250));
  const UnifiedRequest request = request_of(costs);
  std::vector<CellProof> proof = *prove_search(request, unified_search(request));
  for (CellProof& cell : proof) {
    if (!cell.certificate || cell.certificate->stage.empty()) continue;
    cell.certificate->stage.clear();
    cell.certificate->strategy.clear();
    cell.certificate->objective = miqp::kUnlimited;
  }
  const auto report = check_search(request, proof);
  EXPECT_TRUE(!report || !report->proven);
}

TEST(Unified, ProofIsPartOfTheSearch) {
  const RoundCosts costs(4, 4, mebibytes(250));
  const UnifiedOutcome outcome = unified_search(request_of(costs));
  EXPECT_GT(outcome.proof_cpu_s, 0);
  EXPECT_LE(outcome.proof_cpu_s, outcome.search_cpu_s);
}

}  // namespace
}  // namespace soapbox::strategies::uniap
