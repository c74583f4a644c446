#include "strategies/uniap/unified.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/base/divisors.h"
#include "strategies/uniap/test_costs.h"

namespace soapbox::strategies::uniap {
namespace {

UnifiedOutcome search(const LayerCosts& costs, std::string_view planner, int64_t batch) {
  return unified_search(
      {.costs = costs, .options = {}, .global_batch = batch, .planner = **find_planner(planner)});
}

TEST(Unified, TriesEveryDivisorOfTheDevicesAndOfTheBatch) {
  const RoundCosts costs(4, 4, mebibytes(1000));
  const UnifiedOutcome outcome = search(costs, "miqp", 6);
  EXPECT_EQ(outcome.cells.size(), 3u * 4u);  // pp 1, 2, 4; c 1, 2, 3, 6
  EXPECT_EQ(search(costs, "intra_only", 6).cells.size(), 4u);
  EXPECT_EQ(search(costs, "inter_only", 6).cells.size(), 4u);
}

TEST(Unified, TheBestOfAllCellsIsProven) {
  const RoundCosts costs(4, 4, mebibytes(400));
  const UnifiedOutcome outcome = search(costs, "miqp", 8);
  ASSERT_TRUE(outcome.best);
  EXPECT_TRUE(outcome.proven);
  EXPECT_DOUBLE_EQ(outcome.gap(), 0);
  double best_s = kNoCutoff;
  for (const int64_t pp : {1, 2, 4}) {
    for (const int64_t c : divisors(8)) {
      const CostTables tables = build_tables(costs, {}, static_cast<int32_t>(pp), c, 8);
      const CellAnswer answer = plan_miqp(tables, {});
      if (answer.assignment) {
        best_s = std::min(best_s, evaluate(tables, *answer.assignment)->total_s);
      }
    }
  }
  EXPECT_NEAR(outcome.best->objective.total_s, best_s, 1e-9 * best_s);
}

TEST(Unified, NoRivalBeatsTheExactOne) {
  for (const int64_t limit : {150, 250, 400, 1000}) {
    const RoundCosts costs(4, 4, mebibytes(limit));
    const UnifiedOutcome exact = search(costs, "miqp", 8);
    for (const PlannerRow& row : planner_table()) {
      const UnifiedOutcome rival = search(costs, row.name, 8);
      if (!rival.best) continue;
      ASSERT_TRUE(exact.best) << row.name;
      EXPECT_GE(rival.best->objective.total_s, exact.best->objective.total_s * (1 - 1e-9));
      EXPECT_TRUE(rival.infeasible_reason.empty());
    }
  }
}

// One question in each cell: the second yes comes in the third.
TEST(Unified, StopsWhenAskedWithTheBestSoFar) {
  const RoundCosts costs(4, 4, mebibytes(400));
  int asked = 0;
  UnifiedRequest request{
      .costs = costs, .options = {}, .global_batch = 8, .planner = **find_planner("megatron")};
  request.stop = [&asked] { return ++asked > 2; };
  const UnifiedOutcome outcome = unified_search(request);
  EXPECT_TRUE(outcome.interrupted);
  EXPECT_EQ(outcome.cells.size(), 3u);
  EXPECT_TRUE(outcome.best);
  EXPECT_FALSE(outcome.proven);
  EXPECT_EQ(outcome.bound_s, 0);
}

TEST(Unified, SaysWhyNothingFits) {
  // Four layers of 80 MiB over four devices need 80 MiB of states on each, and activations.
  const RoundCosts costs(4, 4, mebibytes(60));
  const UnifiedOutcome outcome = search(costs, "miqp", 8);
  EXPECT_FALSE(outcome.best);
  EXPECT_TRUE(outcome.proven);
  EXPECT_EQ(outcome.failure, Failure::kNoSolution);
  EXPECT_THAT(outcome.infeasible_reason,
              testing::HasSubstr("of 0.06 GB: states 0.08 GB, activations"));
}

TEST(Unified, TellsAMissedPlanFromNone) {
  // Fully sharded and tensor parallel plans fit, replicated parameters do not.
  class OnlySharded : public RoundCosts {
   public:
    OnlySharded() : RoundCosts(4, 4, mebibytes(200)) {}
    bool allowed(size_t layer, const Strategy& s, int64_t samples) const override {
      return s.tp == 1 && RoundCosts::allowed(layer, s, samples);
    }
  };
  const OnlySharded costs;
  EXPECT_TRUE(search(costs, "intra_only", 8).best);
  UnifiedRequest request{
      .costs = costs, .options = {}, .global_batch = 8, .planner = **find_planner("megatron")};
  request.stages = 1;
  const UnifiedOutcome megatron = unified_search(request);
  EXPECT_FALSE(megatron.best);
  EXPECT_EQ(megatron.failure, Failure::kMissed);
  EXPECT_THAT(megatron.infeasible_reason, testing::HasSubstr("a plan exists, but no point"));
}

}  // namespace
}  // namespace soapbox::strategies::uniap
