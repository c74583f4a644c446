#include "sim/engine/trace.h"

#include <gtest/gtest.h>

#include "sim/engine/random_graph.h"

namespace soapbox {
namespace {

TaskGraph two_tasks() {
  TaskGraph graph(2);
  const TaskId a = graph.add_task(ResourceId(0), Duration(1'500'000));
  const TaskId b = graph.add_task(ResourceId(1), Duration(7));
  graph.add_edge(a, b);
  graph.finish();
  return graph;
}

TEST(TraceHash, IsStableOverReleases) {
  // Not derived: written down once, so that stored hashes stay comparable. A change here makes
  // every stored hash useless.
  const TaskGraph graph = two_tasks();
  Timeline timeline;
  FifoEngine().run(graph, timeline);
  EXPECT_EQ(trace_hash(graph, timeline), 0xfbf0e89a5e786149);
}

TEST(TraceHash, DependsOnEveryStartEndAndResource) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, 3);
    const TaskGraph graph = random_graph(rng, random_shape(rng));
    Timeline timeline;
    FifoEngine().run(graph, timeline);
    const uint64_t hash = trace_hash(graph, timeline);
    EXPECT_EQ(trace_hash(graph, timeline), hash);
    const TaskId task(rng.below(static_cast<uint32_t>(graph.task_count())));
    Timeline changed = timeline;
    changed.start[task] = changed.start[task] + Duration(1);
    EXPECT_NE(trace_hash(graph, changed), hash);
    changed = timeline;
    changed.end[task] = changed.end[task] + Duration(1);
    EXPECT_NE(trace_hash(graph, changed), hash);
  }
  TaskGraph first(2);
  first.add_task(ResourceId(0), Duration(1));
  first.finish();
  TaskGraph second(2);
  second.add_task(ResourceId(1), Duration(1));
  second.finish();
  Timeline timeline;
  FifoEngine().run(first, timeline);
  EXPECT_NE(trace_hash(first, timeline), trace_hash(second, timeline));
}

}  // namespace
}  // namespace soapbox
