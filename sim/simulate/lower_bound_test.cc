#include "sim/simulate/lower_bound.h"

#include <gtest/gtest.h>

#include "sim/base/str.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"
#include "sim/simulate/simulate.h"

namespace soapbox {
namespace {

LowerBound bound_of(const Problem& problem, const Plan& plan) {
  const OpGraph& graph = problem.model.graph;
  const NetworkModel network = problem.options.network;
  return lower_bound(graph, problem.cluster, plan, network,
                     make_plan_blocks(graph, problem.cluster, problem.costs, plan, network));
}

TEST(LowerBound, IsNeverAboveTheSimulatedMakespan) {
  const char* const models[] = {"lenet", "alexnet", "rnnlm2", "inception_v3"};
  for (uint64_t seed = 0; seed < 48; ++seed) {
    const char* const name = models[seed % 4];
    const auto sync = static_cast<SyncMode>(seed / 4 % 4);
    SCOPED_TRACE(str_cat("seed ", seed, ", ", name, ", ", to_string(sync)));
    Rng rng(seed);
    const Model model = *build_model(name, 24);
    const Cluster cluster = test_cluster(1 + seed % 2, 3, 0.7);
    const Costs costs = *Costs::make(model, cluster, {});
    const auto network = static_cast<NetworkModel>(seed / 16 % 3);
    const Problem problem{model, cluster, costs, {.network = network}};
    const Plan plan = random_plan(model.graph, cluster.device_count(), sync, rng);
    const LowerBound bound = bound_of(problem, plan);
    const Duration makespan = simulate(problem, plan).timeline.makespan - SimTime();
    EXPECT_LE(bound.value, makespan);
    EXPECT_GE(bound.value.picoseconds(), makespan.picoseconds() / 10) << "a bound worth having";
  }
}

TEST(LowerBound, IsExactOnOneDevice) {
  const Model model = *build_model("alexnet", 16);
  const Cluster cluster = test_cluster(1, 1);
  const Costs costs = *Costs::make(model, cluster, {});
  const Problem problem{model, cluster, costs, {}};
  const Plan plan = data_parallel_plan(model.graph, 1);
  const LowerBound bound = bound_of(problem, plan);
  EXPECT_EQ(bound.value, simulate(problem, plan).timeline.makespan - SimTime());
  EXPECT_EQ(bound.kind, LowerBound::Kind::kWork);
}

}  // namespace
}  // namespace soapbox
