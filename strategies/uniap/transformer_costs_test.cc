// The tables against the simulator: the same layers, combined by formula and by event.
#include "strategies/uniap/transformer_costs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "sim/model/encoders.h"
#include "sim/parallel/simulate_parallel.h"
#include "sim/parallel/test_parallel.h"
#include "strategies/uniap/to_plan.h"
#include "strategies/uniap/unified.h"

namespace soapbox::strategies::uniap {
namespace {

Outcome simulate(const ParallelProblem& problem, const UnifiedPlan& plan,
                 const TableOptions& tables, int64_t global_batch) {
  const ParallelPlan lowered =
      to_parallel_plan(plan.tables, plan.assignment, {}, tables, global_batch);
  const Status status = check_parallel_plan(problem.model, lowered, problem.cluster.device_count());
  EXPECT_TRUE(status) << status.error().message;
  return simulate_parallel(problem, lowered).outcome;
}

UnifiedPlan uniform(const TransformerCosts& costs, const TableOptions& options, int32_t stages,
                    int64_t microbatches, int64_t batch, size_t strategy) {
  UnifiedPlan plan{build_tables(costs, options, stages, microbatches, batch), {}, {}};
  plan.assignment = {even_cut(plan.tables), std::vector<size_t>(plan.tables.layers, strategy)};
  plan.objective = value_of(plan.tables, plan.assignment);
  return plan;
}

// Without a pipeline and with one micro-batch nothing is left to chance: the formula and the events
// agree but for traffic that sticks out at the ends.
TEST(TransformerCosts, OneStageIsWhatTheSimulatorSays) {
  const TestMachine machine(8, 8);
  const Transformer model = small_gpt(8);
  const ParallelProblem problem = machine.problem(model);
  const TransformerCosts costs(problem, {});
  for (size_t k = 0; k < stage_strategies(8).size(); ++k) {
    const UnifiedPlan plan = uniform(costs, {}, 1, 1, 64, k);
    const Outcome outcome = simulate(problem, plan, {}, 64);
    const double simulated_s = std::get<Report>(outcome).iteration_time.seconds();
    EXPECT_NEAR(plan.objective.total_s / simulated_s, 1, 0.02)
        << to_string(plan.tables.strategies[k]);
  }
}

// Costs are computed once and kept; a race's threads share them. The thread sanitizer judges.
TEST(TransformerCosts, ThreadsShareThem) {
  const TestMachine machine(8, 8);
  const Transformer model = small_gpt(8);
  const ParallelProblem problem = machine.problem(model);
  const TransformerCosts costs(problem, {});
  const auto objective = [&](size_t strategy) {
    return uniform(costs, {}, 1, 1, 64, strategy).objective.total_s;
  };
  std::array<double, 2> together = {};
  std::vector<std::thread> threads;
  for (double& one : together) threads.emplace_back([&] { one = objective(1); });
  for (std::thread& thread : threads) thread.join();
  const TransformerCosts fresh(problem, {});
  EXPECT_EQ(together[0], uniform(fresh, {}, 1, 1, 64, 1).objective.total_s);
  EXPECT_EQ(together[0], together[1]);
}

TEST(TransformerCosts, PipelinesAreWithinTheBubblesThatTheFormulaRoundsOff) {
  const TestMachine machine(8, 8);
  const Transformer model = small_gpt(16);
  const ParallelProblem problem = machine.problem(model);
  const TransformerCosts costs(problem, {});
  for (const int32_t stages : {2, 4}) {
    const UnifiedPlan plan = uniform(costs, {}, stages, 16, 64, 0);
    const Outcome outcome = simulate(problem, plan, {}, 64);
    const double simulated_s = std::get<Report>(outcome).iteration_time.seconds();
    EXPECT_NEAR(plan.objective.total_s / simulated_s, 1, 0.06) << stages << " stages";
  }
}

// The tables' memory is the simulator's, or on the safe side: what fits them always runs.
TEST(TransformerCosts, WhatFitsTheTablesRunsWithinTheMemoryOfTheDevices) {
  TestMachine machine(8, 4);
  const Transformer model = small_gpt(12);
  int plans = 0;
  for (const int64_t reserved_gib : {66, 70, 75}) {
    ParallelProblem problem = machine.problem(model);
    problem.factors.reserved = gibibytes(reserved_gib);
    const TransformerCosts costs(problem, {});
    for (const PipelineMemory memory : {PipelineMemory::kGPipe, PipelineMemory::k1F1B}) {
      TableOptions options;
      options.memory = memory;
      for (const PlannerRow& planner : planner_table()) {
        const UnifiedOutcome found = unified_search(
            {.costs = costs, .options = options, .global_batch = 64, .planner = planner});
        if (!found.best) continue;
        ++plans;
        EXPECT_TRUE(std::holds_alternative<Report>(simulate(problem, *found.best, options, 64)))
            << planner.name << " with " << reserved_gib << " GiB reserved";
      }
    }
  }
  EXPECT_GT(plans, 15);
}

TEST(TransformerCosts, DegreesThatDifferInAStageAreGatheredOnce) {
  const TestMachine machine(8, 8);
  const Transformer model = small_gpt(2);
  const ParallelProblem problem = machine.problem(model);
  const TransformerCosts costs(problem, {});
  const Strategy wide{.tp = 1, .dp = 8};
  const Strategy sharded{.tp = 1, .dp = 8, .fsdp = true};
  const Strategy narrow{.tp = 4, .dp = 2};
  EXPECT_EQ(costs.reshard({0, 1}, wide, sharded, 8, 1), 0);
  EXPECT_GT(costs.reshard({0, 1}, wide, narrow, 8, 1), 0);
  EXPECT_EQ(costs.reshard({0, 1}, wide, narrow, 8, 1), costs.reshard({0, 1}, narrow, wide, 8, 1));
  EXPECT_GT(costs.transfer({0, 1}, wide, narrow, 8, 2), costs.transfer({0, 1}, wide, wide, 8, 2));
}

TEST(TransformerCosts, AnEncodersOutputReachesTheDecoderByChainOrHub) {
  const TestMachine machine(8, 8);
  T5Shape shape;
  shape.encoder_layers = 2;
  shape.decoder_layers = 3;
  shape.hidden = 1024;
  shape.heads = 16;
  shape.ffn = 4096;
  const Transformer model = make_t5("t5", "test", shape).value();
  const ParallelProblem problem = machine.problem(model);
  // Embedding, 2 encoder blocks, embedding, 3 decoder blocks, head.
  EXPECT_EQ(TransformerCosts(problem, {}).edges().size(), 7u);
  TransformerCostsOptions hub;
  hub.cross_attention = CrossAttention::kHub;
  EXPECT_THAT(TransformerCosts(problem, hub).edges(),
              testing::ElementsAre(Edge{0, 1}, Edge{1, 2}, Edge{2, 3}, Edge{2, 4}, Edge{2, 5},
                                   Edge{2, 6}, Edge{3, 4}, Edge{4, 5}, Edge{5, 6}, Edge{6, 7}));
  const Strategy strategy{.tp = 1, .dp = 4};
  const TransformerCosts chain(problem, {});
  EXPECT_GT(chain.transfer({4, 5}, strategy, strategy, 8, 2),
            1.3 * TransformerCosts(problem, hub).transfer({4, 5}, strategy, strategy, 8, 2));
}

}  // namespace
}  // namespace soapbox::strategies::uniap
