// PlanEngine against lower() and FifoEngine on the same blocks: every task's ready, start and end
// must be equal. Blocks are made of random graphs, plans and clusters; then many of their times are
// replaced by zero or by one of few values, so that tasks without duration and ties are the rule.
// SOAPBOX_FUZZ_MUTATIONS=N compares about N plans.
#include "sim/simulate/plan_engine.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "sim/base/str.h"
#include "sim/engine/engine.h"
#include "sim/plan/test_plan.h"
#include "sim/simulate/lower.h"
#include "sim/simulate/random_model.h"

namespace soapbox {
namespace {

void make_ties(PlanBlocks& blocks, Rng& rng) {
  const auto draw = [&](Duration& duration) {
    if (rng.below(4) > 0) duration = Duration(rng.below(3) * 100'000);
  };
  for (OpBlock& block : blocks.ops) {
    for (Duration& duration : block.forward) draw(duration);
    for (Duration& duration : block.backward) draw(duration);
  }
  for (EdgeBlock& block : blocks.edges) {
    for (PiecePair& pair : block.pairs) {
      if (rng.below(4) > 0) pair.bytes = Bytes(rng.below(2) * 1000);
    }
    for (GradientSum& sum : block.sums) draw(sum.duration);
  }
  for (SyncBlock& block : blocks.weights) {
    for (SyncTask& task : block.tasks) {
      if (task.kind == TaskKind::kUpdate) draw(task.duration);
      if (task.kind == TaskKind::kSyncTransfer && rng.below(2) == 0) task.bytes = Bytes();
    }
  }
}

PlanBounds bounds_of(const OpGraph& graph, const Cluster& cluster, const Plan& plan,
                     const PlanBlocks& blocks, const PlanSends& sends) {
  PlanBounds bounds(graph, cluster);
  DemandSum sum(cluster);
  for (const OpId op : graph.ops().ids()) {
    bounds.ops[op] = make_op_profile(blocks.ops[op], plan.ops[op], sum);
  }
  for (const EdgeId edge : graph.edges().ids()) {
    bounds.edges[edge] = make_edge_profile(blocks.edges[edge], *sends.edges[edge],
                                           plan.ops[graph.edge(edge).producer], sum);
  }
  for (const WeightId weight : graph.weights().ids()) {
    bounds.weights[weight] = make_sync_profile(blocks.weights[weight], sends.weights[weight],
                                               graph.users(weight).size(), sum);
  }
  return bounds;
}

void compare(uint64_t seed) {
  Rng rng(seed);
  const Model model = random_model(rng);
  const Cluster cluster = test_cluster(1 + rng.below(3), 1 + rng.below(3));
  const Costs costs = *Costs::make(model, cluster, {});
  const auto network = rng.below(4) == 0 ? NetworkModel::kSteps : NetworkModel::kFifo;
  const auto sync = static_cast<SyncMode>(rng.below(4));
  const OpGraph& graph = model.graph;
  const Plan plan = random_plan(graph, cluster.device_count(), sync, rng);
  PlanBlocks blocks = make_plan_blocks(graph, cluster, costs, plan, network);
  if (rng.below(4) > 0) make_ties(blocks, rng);

  const Lowered lowered = lower(model, cluster, plan, network, blocks);
  Timeline expected;
  FifoEngine().run(lowered.graph, expected);
  TransferTable transfers(cluster);
  const PlanSends sends = make_plan_sends(graph, plan, blocks, cluster, transfers);
  PlanEngine engine(graph, cluster);
  const Timeline timeline = engine.record(plan, blocks, sends);
  ASSERT_EQ(timeline.end.size(), expected.end.size());
  for (const TaskId task : expected.end.ids()) {
    ASSERT_EQ(timeline.ready[task], expected.ready[task]) << "task " << task.value();
    ASSERT_EQ(timeline.start[task], expected.start[task]) << "task " << task.value();
    ASSERT_EQ(timeline.end[task], expected.end[task]) << "task " << task.value();
  }
  ASSERT_EQ(timeline.makespan, expected.makespan);
  ASSERT_EQ(engine.run(plan, blocks, sends), expected.makespan);

  // A limit stops exactly the runs that exceed it.
  PlanBounds bounds = bounds_of(graph, cluster, plan, blocks, sends);
  ASSERT_LE(bounds.compute(Duration(INT64_MAX)).value, expected.makespan - SimTime());
  for (const int64_t percent : {50, 90, 99, 100, 101}) {
    const SimTime limit(expected.makespan.picoseconds() / 100 * percent +
                        (percent == 100 ? expected.makespan.picoseconds() % 100 : 0));
    const auto time = engine.run(plan, blocks, sends, bounds.tails(), limit);
    ASSERT_EQ(time.has_value(), expected.makespan <= limit) << percent << " %";
    if (time) {
      ASSERT_EQ(*time, expected.makespan);
    }
  }
}

TEST(PlanEngine, EqualsTheTaskGraphOfTheSameBlocks) {
  const char* const text = std::getenv("SOAPBOX_FUZZ_MUTATIONS");
  const uint64_t plans = text != nullptr ? std::stoull(text) : 1500;
  for (uint64_t seed = 0; seed < plans; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    ASSERT_NO_FATAL_FAILURE(compare(seed));
  }
}

}  // namespace
}  // namespace soapbox
