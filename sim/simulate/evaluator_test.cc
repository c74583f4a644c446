#include "sim/simulate/evaluator.h"

#include <gtest/gtest.h>

#include "sim/base/str.h"
#include "sim/engine/check_flows.h"
#include "sim/engine/check_trace.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"

namespace soapbox {
namespace {

class EveryNetwork : public testing::TestWithParam<NetworkModel> {};

INSTANTIATE_TEST_SUITE_P(Evaluator, EveryNetwork,
                         testing::Values(NetworkModel::kFifo, NetworkModel::kFair,
                                         NetworkModel::kSteps),
                         [](const auto& param) { return to_string(param.param); });

TEST_P(EveryNetwork, DeltaAndFullEvaluationAgreeOnEveryProposal) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng rng(seed);
    const Model model = *build_model(seed % 2 == 0 ? "lenet" : "rnnlm2", 24);
    const Cluster cluster = test_cluster(2, 2, 0.5, seed % 4 == 3);
    const Costs costs = *Costs::make(model, cluster, {});
    const Problem problem{model,
                          cluster,
                          costs,
                          {.network = GetParam(),
                           .compute_slowdown = seed < 4 ? 1.0 : 1.2,
                           .communication_slowdown = seed < 4 ? 1.0 : 1.1}};
    Evaluator full(problem, SimulationMode::kFull);
    Evaluator delta(problem, SimulationMode::kDelta);
    const auto sync = static_cast<SyncMode>(seed % 4);
    const Plan start = random_plan(model.graph, 4, sync, rng);
    ASSERT_EQ(full.reset(start), delta.reset(start));
    int refused = 0;
    for (int i = 0; i < 60; ++i) {
      const OpId op(rng.below(static_cast<uint32_t>(model.graph.ops().size())));
      const ConfigChange change{op, random_config(model.graph.op(op), 4, 8, rng)};
      const Duration limit(full.current_time().picoseconds() / 100 * (95 + rng.below(30)));
      const auto expected = full.propose({&change, 1}, limit);
      ASSERT_EQ(delta.propose({&change, 1}, limit), expected) << "proposal " << i;
      refused += expected ? 0 : 1;
      if (expected) {
        full.accept();
        delta.accept();
      } else {
        full.reject();
        delta.reject();
      }
      ASSERT_EQ(full.current_time(), delta.current_time());
    }
    EXPECT_GT(refused, 0);
    EXPECT_EQ(full.evaluations(), delta.evaluations());
    EXPECT_EQ(delta.current(), full.current());
  }
}

TEST_P(EveryNetwork, ARunPassesItsIndependentChecker) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng rng(seed);
    const Model model = *build_model("lenet", 24);
    const Cluster cluster = test_cluster(2, 2);
    const Costs costs = *Costs::make(model, cluster, {});
    const SimulationOptions options{GetParam(), 1.25, 1.5};
    const auto sync = static_cast<SyncMode>(seed % 4);
    const Plan plan = random_plan(model.graph, 4, sync, rng);
    const auto run = simulate({model, cluster, costs, options}, plan);
    if (GetParam() != NetworkModel::kFair) {
      const Status status = check_trace(run.lowered.graph, run.timeline);
      EXPECT_TRUE(status) << status.error().message;
      continue;
    }
    const Network network = shared_network(cluster, options);
    Timeline timeline;
    std::vector<RateChange> log;
    FlowEngine().run(run.lowered.graph, network, timeline, &log);
    EXPECT_EQ(timeline.end, run.timeline.end);
    const Status status = check_flows(run.lowered.graph, network, timeline, log);
    EXPECT_TRUE(status) << status.error().message;
  }
}

// Data parallelism on one node of four: a ring of four messages a step, 2 (4 - 1) steps, one weight
// after another. Every link carries the same bytes as under fifo, rounded up per message.
TEST(Steps, ARingSendsTheSameBytesInMoreMessages) {
  const Model model = *build_model("lenet", 24);
  const Cluster cluster = test_cluster(1, 4);
  const Costs costs = *Costs::make(model, cluster, {});
  const Plan plan = data_parallel_plan(model.graph, 4);
  const auto fifo = simulate({model, cluster, costs, {}}, plan);
  const auto steps = simulate({model, cluster, costs, {.network = NetworkModel::kSteps}}, plan);
  const size_t weights = model.graph.weights().size();
  EXPECT_EQ(steps.lowered.graph.task_count(),
            fifo.lowered.graph.task_count() + weights * (2 * 3 * 4 - 4));
  const int64_t more = steps.lowered.network.count() - fifo.lowered.network.count();
  EXPECT_GE(more, 0);
  EXPECT_LE(more, static_cast<int64_t>(weights * 24));
}

}  // namespace
}  // namespace soapbox
