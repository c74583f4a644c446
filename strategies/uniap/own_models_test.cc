#include "strategies/uniap/own_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/parallel/test_parallel.h"
#include "strategies/uniap/simulated_profile.h"
#include "strategies/uniap/test_costs.h"

namespace soapbox::strategies::uniap {
namespace {

class OwnModels : public testing::Test {
 protected:
  UnifiedRequest request(std::string_view planner) const {
    return {.costs = costs_, .options = {}, .global_batch = 32, .planner = **find_planner(planner)};
  }
  OwnAnswer own(std::string_view planner) const {
    const UnifiedRequest search = request(planner);
    return find_own_model(planner)->search({search, profile_, true, gibibytes(16)});
  }

  TestMachine machine_{8, 8};
  Transformer model_ = small_gpt(8);
  ParallelProblem problem_ = machine_.problem(model_);
  TransformerCosts costs_{problem_, {}};
  galvatron::Galvatron2Profile profile_ = simulated_profile(problem_, costs_);
};

TEST_F(OwnModels, TheProfileIsWhatTheSimulatorTakes) {
  ASSERT_EQ(profile_.types.size(), 1u);
  const galvatron::Galvatron2Layers& block = profile_.types[0];
  EXPECT_EQ(block.layers, 8);
  const TransformerLayer& layer = model_.layers[1];
  // Its profiler divides the states by four; mixed precision has 18 bytes of them per parameter.
  EXPECT_NEAR(block.parameter_mb, static_cast<double>(layer.parameter_count()) * 18 / 4 / (1 << 20),
              1e-3);
  for (const int64_t samples : {2, 4, 8}) {
    const double forward_s = costs_.seconds(1, {}, samples, 8).forward;
    EXPECT_NEAR(block.forward.at(static_cast<double>(samples)) * 1e-3, forward_s, 0.1 * forward_s);
  }
  // All 8 ranks, and neighbours or not, within one node: the same links.
  EXPECT_GT(profile_.all_reduce_gb_per_s.at({8, true}), 0);
  EXPECT_DOUBLE_EQ(profile_.all_reduce_gb_per_s.at({2, true}),
                   profile_.all_reduce_gb_per_s.at({2, false}));
}

// Its optimum over the same space, found once more by hand: every number of micro-batches.
TEST_F(OwnModels, GalvatronPlansByItsOwnTime) {
  const OwnAnswer answer = own("galvatron");
  ASSERT_TRUE(answer.outcome.best);
  double least_s = kNoCutoff;
  for (const Cell& cell : answer.outcome.cells) {
    if (cell.failure == Failure::kNone) least_s = std::min(least_s, cell.objective_s);
  }
  EXPECT_DOUBLE_EQ(answer.outcome.best->objective.total_s, least_s);
  EXPECT_EQ(answer.outcome.cells.size(), 6u);  // divisors of 32
  EXPECT_FALSE(answer.outcome.proven);
  const Assignment& plan = answer.outcome.best->assignment;
  EXPECT_EQ(plan.strategy.size(), 10u);
  EXPECT_EQ(plan.stage_begin.size(), static_cast<size_t>(answer.outcome.best->tables.stages));
  // Its time is not ours.
  EXPECT_NE(value_of(answer.outcome.best->tables, plan).total_s, least_s);
}

TEST_F(OwnModels, AlpaIsBlindToTransfers) {
  const OwnAnswer answer = own("alpa");
  ASSERT_TRUE(answer.outcome.best);
  EXPECT_EQ(answer.options.memory, PipelineMemory::k1F1B);
  const UnifiedPlan& plan = *answer.outcome.best;
  const Objective judged = value_of(plan.tables, plan.assignment);
  EXPECT_LE(plan.objective.total_s, judged.total_s * (1 + 1e-12));
  double sum = 0;
  double most = 0;
  for (const double stage_s : judged.compute_stage_s) {
    sum += stage_s;
    most = std::max(most, stage_s);
  }
  EXPECT_DOUBLE_EQ(plan.objective.total_s,
                   sum + static_cast<double>(plan.tables.microbatches - 1) * most);
}

// Forward 1 s, backward 3 s per sample: the whole is 4 s by profile and 3 s by the paper's rule.
TEST(OwnModelsOfUniap, TheBackwardPassTakesTwiceTheForwardPass) {
  const RoundCosts costs(2, 1, mebibytes(1000));
  const UnifiedRequest search{
      .costs = costs, .options = {}, .global_batch = 1, .planner = **find_planner("miqp")};
  const OwnAnswer answer = find_own_model("miqp")->search({search, {}, false, {}});
  EXPECT_DOUBLE_EQ(answer.outcome.best->objective.total_s, 2 * 3);
  EXPECT_DOUBLE_EQ(unified_search(search).best->objective.total_s, 2 * 4);
  EXPECT_TRUE(answer.outcome.proven);
}

TEST_F(OwnModels, AProfileThatDoesNotFitIsSaid) {
  const UnifiedRequest search = request("galvatron");
  const OwnAnswer answer =
      find_own_model("galvatron")->search({search, profile_, true, mebibytes(1100)});
  EXPECT_FALSE(answer.outcome.best);
  EXPECT_EQ(answer.outcome.failure, Failure::kNoSolution);
  EXPECT_THAT(answer.outcome.infeasible_reason, testing::HasSubstr("1100 MiB"));
}

TEST(OwnModelsOfOddClusters, GalvatronNeedsAPowerOfTwo) {
  const RoundCosts costs(4, 6, mebibytes(1000));
  const UnifiedRequest search{
      .costs = costs, .options = {}, .global_batch = 12, .planner = **find_planner("galvatron")};
  const OwnAnswer answer = find_own_model("galvatron")->search({search, {}, true, gibibytes(16)});
  EXPECT_FALSE(answer.outcome.best);
  EXPECT_EQ(answer.outcome.failure, Failure::kNoSolution);
  EXPECT_THAT(answer.outcome.infeasible_reason, testing::HasSubstr("there are 6 devices"));
}

TEST(OwnModelTable, MegatronHasNoneAndAllNamesArePlanners) {
  EXPECT_EQ(find_own_model("megatron"), nullptr);
  for (const OwnModelRow& row : own_model_table()) EXPECT_TRUE(is_planner(row.planner));
}

}  // namespace
}  // namespace soapbox::strategies::uniap
