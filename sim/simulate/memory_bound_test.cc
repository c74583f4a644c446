// The bound against the exact figure: never below it, close to it on plans as they are trained; and
// what a searcher is told is the exact figure's word, whatever the bound says.
#include "sim/simulate/memory_bound.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/base/str.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"
#include "sim/simulate/delta.h"
#include "sim/simulate/evaluator.h"
#include "sim/simulate/random_model.h"

namespace soapbox {
namespace {

IdVector<DeviceId, Bytes> bound_of(const Problem& problem, const Plan& plan) {
  const auto& [model, cluster, costs, options] = problem;
  const PlanBlocks blocks = make_plan_blocks(model.graph, cluster, costs, plan, options.network);
  PlanEdgeMemory edges;
  for (const EdgeId edge : model.graph.edges().ids()) {
    const auto& [producer, consumer, input] = model.graph.edge(edge);
    edges.push_back(std::make_shared<const EdgeMemory>(make_edge_memory(
        model.graph, edge, blocks.edges[edge], plan.ops[producer], plan.ops[consumer])));
  }
  return memory_bound(model.graph, cluster, plan, edges, blocks.weights);
}

TEST(MemoryBound, IsNeverBelowWhatIsHeld) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng rng(seed);
    const Model model = seed % 3 == 0   ? *build_model("lenet", 24)
                        : seed % 3 == 1 ? *build_model("rnnlm2", 24)
                                        : random_model(rng);
    const Cluster cluster = test_cluster(1 + seed % 2, 2);
    const Costs costs = *Costs::make(model, cluster, {});
    const Problem problem{model, cluster, costs, {.network = static_cast<NetworkModel>(seed % 3)}};
    const Plan plan =
        random_plan(model.graph, cluster.device_count(), static_cast<SyncMode>(seed % 4), rng);
    const auto run = simulate(problem, plan, MemoryCheck::kRegardless);
    const IdVector<DeviceId, Bytes> bound = bound_of(problem, plan);
    for (const DeviceId device : cluster.devices().ids()) {
      EXPECT_GE(bound[device], run.peaks[device].total()) << device.value();
    }
  }
}

// Where all samples stay on their device: the largest gradients are counted as if they were made
// while all activations are held.
TEST(MemoryBound, IsCloseWherePiecesStayOnTheirDevice) {
  for (const char* name : {"alexnet", "inception_v3", "resnet101", "rnnlm", "nmt"}) {
    const Model model = *build_model(name, 16);
    const Cluster cluster = test_cluster(1, 2);
    const Costs costs = *Costs::make(model, cluster, {});
    const Problem problem{model, cluster, costs, {}};
    const Plan plan = data_parallel_plan(model.graph, 2);
    const auto run = simulate(problem, plan, MemoryCheck::kRegardless);
    const double share = bound_of(problem, plan)[DeviceId(0)].as_double() /
                         run.peaks[DeviceId(0)].total().as_double();
    EXPECT_GE(share, 1) << name;
    EXPECT_LE(share, 1.2) << name;
  }
}

// The first plan just fits. Of those after it some do, by the bound or only exactly, and some do
// not.
TEST(Excess, OfAProposalIsTheSameByDeltaAndByAFullRun) {
  size_t fit = 0;
  size_t missing = 0;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng rng(seed);
    const Model model = *build_model(seed % 2 == 0 ? "lenet" : "rnnlm2", 24);
    const Cluster cluster = test_cluster(2, 2);
    const Costs costs = *Costs::make(model, cluster, {});
    Problem problem{model, cluster, costs, {}};
    Plan plan = random_plan(model.graph, 4, static_cast<SyncMode>(seed % 4), rng);
    const auto peaks_of = [&](const Plan& of) {
      return simulate(problem, of, MemoryCheck::kRegardless).peaks;
    };
    const auto peaks = peaks_of(plan);
    const Bytes most = peaks[fullest_device(cluster, peaks)].total();
    problem.options.reserved = gibibytes(16) - most;
    DeltaSimulation delta(problem);
    delta.reset(plan);
    for (int i = 0; i < 60; ++i) {
      Plan next = plan;
      const OpId op(rng.below(static_cast<uint32_t>(model.graph.ops().size())));
      next.ops[op] = random_config(model.graph.op(op), 4, 8, rng);
      delta.propose(next, {&op, 1});
      const auto reason = out_of_memory(cluster, problem.options.reserved, peaks_of(next));
      const Bytes expected = reason ? reason->needed - reason->available : Bytes();
      const bool asks = rng.below(4) > 0;
      ASSERT_EQ(asks ? delta.excess(next) : expected, expected) << "proposal " << i;
      ++(expected == Bytes() ? fit : missing);
      if (rng.below(2) == 0) {
        delta.accept();
        plan = std::move(next);
      } else {
        delta.reject();
      }
    }
  }
  EXPECT_GT(fit, 100u);
  EXPECT_GT(missing, 100u);
}

}  // namespace
}  // namespace soapbox
