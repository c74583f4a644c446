#include "sim/simulate/lower_bound.h"

#include <gtest/gtest.h>

#include "sim/base/str.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"
#include "sim/simulate/simulate.h"

namespace soapbox {
namespace {

PlanBounds bounds_of(const Problem& problem, const Plan& plan) {
  const OpGraph& graph = problem.model.graph;
  PlanBounds bounds(graph, problem.cluster);
  for (const OpId op : graph.ops().ids()) {
    bounds.ops[op] = make_op_profile(
        make_op_block(graph.op(op), plan.ops[op], problem.cluster, problem.costs), plan.ops[op]);
  }
  for (const EdgeId id : graph.edges().ids()) {
    const OpConfig& producer = plan.ops[graph.edge(id).producer];
    const OpConfig& consumer = plan.ops[graph.edge(id).consumer];
    bounds.edges[id] = make_edge_profile(
        make_edge_block(graph, id, producer, consumer, problem.cluster, problem.costs), producer,
        consumer, problem.cluster);
  }
  for (const WeightId weight : graph.weights().ids()) {
    bounds.weights[weight] =
        make_sync_profile(make_sync_block(graph, weight, plan, problem.cluster, problem.costs),
                          graph.users(weight).size(), problem.cluster);
  }
  return bounds;
}

constexpr Duration kEverything(INT64_MAX);

TEST(LowerBound, IsNeverAboveTheSimulatedMakespan) {
  const char* const models[] = {"lenet", "alexnet", "rnnlm2", "inception_v3"};
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const char* const name = models[seed % 4];
    const auto sync = static_cast<SyncMode>(seed / 4 % 4);
    SCOPED_TRACE(str_cat("seed ", seed, ", ", name, ", ", to_string(sync)));
    Rng rng(seed);
    const Model model = *build_model(name, 24);
    const Cluster cluster = test_cluster(1 + seed % 2, 3, 0.7);
    const Costs costs = *Costs::make(model, cluster, {});
    const Problem problem{model, cluster, costs, {}};
    const Plan plan = random_plan(model.graph, cluster.device_count(), sync, rng);
    const LowerBound bound = bounds_of(problem, plan).compute(kEverything);
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
  Plan plan;
  for (size_t i = 0; i < model.graph.ops().size(); ++i) {
    OpConfig config;
    config.devices = {DeviceId(0)};
    plan.ops.push_back(config);
  }
  const LowerBound bound = bounds_of(problem, plan).compute(kEverything);
  EXPECT_EQ(bound.value, simulate(problem, plan).timeline.makespan - SimTime());
  EXPECT_EQ(bound.kind, LowerBound::Kind::kWork);
}

}  // namespace
}  // namespace soapbox
