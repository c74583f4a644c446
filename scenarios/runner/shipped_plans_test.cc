// Every shipped cluster with models of every kind under every recipe: where a plan fits, its
// figures are finite and in order.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "scenarios/runner/parallel_options.h"
#include "scenarios/runner/parallel_problem.h"

namespace soapbox::runner {
namespace {

// The plan that a recipe makes of its defaults: tensor parallelism within a node where it shards
// nothing, all devices data parallel else.
ParallelPlan plan_of(const ParallelRecipe& recipe, const ParallelProblem& problem) {
  const auto devices = static_cast<int32_t>(problem.cluster.device_count());
  ParallelPlan plan;
  LayerStrategy& strategy = plan.strategies.front();
  strategy.zero_stage = recipe.zero_stage;
  if (recipe.zero_stage < 2) {
    while (strategy.tensor_parallel < 8 && devices % (2 * strategy.tensor_parallel) == 0) {
      strategy.tensor_parallel *= 2;
    }
    strategy.sequence_parallel = strategy.tensor_parallel > 1;
  }
  strategy.data_parallel = devices / strategy.tensor_parallel;
  strategy.recompute = Recompute::kFull;
  plan.microbatches = 2;
  return plan;
}

void check(const Report& report) {
  EXPECT_GT(report.iteration_time, Duration());
  EXPECT_LE(report.lower_bound, report.iteration_time);
  EXPECT_LE(report.low, report.iteration_time);
  EXPECT_GE(report.high, report.iteration_time);
  EXPECT_TRUE(std::isfinite(report.samples_per_s));
  EXPECT_GT(report.mfu, 0);
  EXPECT_LE(report.mfu, 1);
  EXPECT_GE(report.bubble_fraction, 0);
  EXPECT_LE(report.exposed_communication, report.iteration_time);
  EXPECT_GT(report.memory.total(), Bytes());
}

TEST(ShippedPlans, FiguresAreFiniteAndInOrderOnEveryCluster) {
  const ScenarioFolder scenarios(std::string(SOAPBOX_SOURCE_DIR) + "/scenarios");
  int fitted = 0;
  for (const std::string& cluster : scenarios.names(kClusterFiles)) {
    for (const char* model : {"bert_huge", "gpt3_2_7b", "llama3_70b", "mixtral_8x7b", "t5_large"}) {
      SCOPED_TRACE(cluster + ", " + model);
      ParallelProblemSpec spec;
      spec.model = model;
      spec.cluster = cluster;
      const auto loaded = LoadedParallelProblem::load(scenarios, spec);
      ASSERT_TRUE(loaded) << loaded.error().to_string();
      const ParallelProblem& problem = (*loaded)->problem();
      for (const ParallelRecipe& recipe : parallel_recipe_table()) {
        const ParallelPlan plan = plan_of(recipe, problem);
        if (!check_parallel_plan(problem.model, plan, problem.cluster.device_count())) continue;
        const ParallelRun run = simulate_parallel(problem, plan);
        const Report* report = std::get_if<Report>(&run.outcome);
        if (report == nullptr) continue;
        ++fitted;
        check(*report);
      }
    }
  }
  EXPECT_GT(fitted, 150);
}

}  // namespace
}  // namespace soapbox::runner
