#include "sim/engine/engine.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "sim/engine/check_trace.h"
#include "sim/engine/random_graph.h"

namespace soapbox {
namespace {

Timeline run(const TaskGraph& graph) {
  FifoEngine engine;
  Timeline timeline;
  engine.run(graph, timeline);
  return timeline;
}

// The rule of engine.h read as a definition: of the tasks whose predecessors have all run, the one
// with the smallest (ready, id) runs next. O(n^2), no queue.
Timeline run_naively(const TaskGraph& graph) {
  const size_t tasks = graph.task_count();
  Timeline timeline;
  timeline.ready.resize(tasks);
  timeline.start.resize(tasks);
  timeline.end.resize(tasks);
  IdVector<TaskId, uint32_t> unmet = graph.predecessor_counts();
  IdVector<TaskId, bool> done(tasks);
  IdVector<ResourceId, SimTime> free_at(graph.resource_count());
  for (size_t step = 0; step < tasks; ++step) {
    TaskId next;
    for (TaskId task : id_range<TaskId>(tasks)) {
      if (done[task] || unmet[task] > 0) continue;
      if (!next.valid() || timeline.ready[task] < timeline.ready[next]) next = task;
    }
    done[next] = true;
    SimTime& free = free_at[graph.resource(next)];
    timeline.start[next] = std::max(timeline.ready[next], free);
    timeline.end[next] = free = timeline.start[next] + graph.duration(next);
    timeline.makespan = std::max(timeline.makespan, free);
    for (TaskId successor : graph.successors(next)) {
      --unmet[successor];
      timeline.ready[successor] = std::max(timeline.ready[successor], free);
    }
  }
  return timeline;
}

TEST(FifoEngine, AgreesWithANaiveOracleOnRandomGraphsWithTies) {
  FifoEngine engine;  // reused, so that left-over state would show
  Timeline timeline;
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    const TaskGraph graph = random_graph(rng, random_shape(rng));
    engine.run(graph, timeline);
    const Timeline expected = run_naively(graph);
    ASSERT_EQ(timeline.ready, expected.ready);
    ASSERT_EQ(timeline.start, expected.start);
    ASSERT_EQ(timeline.end, expected.end);
    ASSERT_EQ(timeline.makespan, expected.makespan);
    ASSERT_EQ(timeline.events, graph.task_count());
    const Status status = check_trace(graph, timeline);
    ASSERT_TRUE(status) << status.error().message;
  }
}

TEST(FifoEngine, MakespanIsAtLeastTheCriticalPathAndTheWorkOfEveryResource) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, 1);
    const TaskGraph graph = random_graph(rng, random_shape(rng));
    IdVector<ResourceId, Duration> work(graph.resource_count());
    IdVector<TaskId, Duration> path(graph.task_count());  // longest path to the task's start
    Duration critical_path;
    for (TaskId task : id_range<TaskId>(graph.task_count())) {
      work[graph.resource(task)] += graph.duration(task);
      const Duration path_end = path[task] + graph.duration(task);
      critical_path = std::max(critical_path, path_end);
      for (TaskId successor : graph.successors(task)) {
        path[successor] = std::max(path[successor], path_end);
      }
    }
    const Duration makespan = run(graph).makespan - SimTime();
    EXPECT_GE(makespan, critical_path);
    EXPECT_GE(makespan, *std::max_element(work.begin(), work.end()));
  }
}

TEST(FifoEngine, ChainTakesTheSumOfItsDurations) {
  TaskGraph graph(3);
  for (uint32_t i = 0; i < 100; ++i) {
    const TaskId task = graph.add_task(ResourceId(i % 3), Duration(i));
    if (i > 0) graph.add_edge(TaskId(i - 1), task);
  }
  graph.finish();
  EXPECT_EQ(run(graph).makespan, SimTime(99 * 100 / 2));
}

// A fork of n equal tasks over k resources and a join: source + ceil(n / k) d + sink.
TEST(FifoEngine, ForkJoinTakesCeilOfTasksPerResource) {
  constexpr uint32_t kTasks = 50;
  constexpr uint32_t kResources = 8;
  TaskGraph graph(kResources);
  const TaskId source = graph.add_task(ResourceId(0), Duration(3));
  for (uint32_t i = 0; i < kTasks; ++i) {
    graph.add_edge(source, graph.add_task(ResourceId(i % kResources), Duration(10)));
  }
  const TaskId sink = graph.add_task(ResourceId(0), Duration(4));
  for (uint32_t i = 1; i <= kTasks; ++i) graph.add_edge(TaskId(i), sink);
  graph.finish();
  EXPECT_EQ(run(graph).makespan, SimTime(3 + 7 * 10 + 4));
}

TEST(FifoEngine, TasksReadyTogetherRunInTheOrderOfIds) {
  TaskGraph graph(2);
  const TaskId a = graph.add_task(ResourceId(0), Duration(5));
  const TaskId b = graph.add_task(ResourceId(1), Duration(5));
  const TaskId c = graph.add_task(ResourceId(0), Duration(1));
  const TaskId d = graph.add_task(ResourceId(0), Duration(1));
  graph.add_edge(b, c);
  graph.add_edge(a, d);
  graph.finish();
  const Timeline timeline = run(graph);
  EXPECT_EQ(timeline.start[c], SimTime(5));
  EXPECT_EQ(timeline.start[d], SimTime(6));
}

// Task 1 becomes ready at 0 through a task that takes no time; it still goes before task 2.
TEST(FifoEngine, TasksWithoutDurationKeepTheOrderOfIds) {
  TaskGraph graph(2);
  const TaskId zero = graph.add_task(ResourceId(0), Duration(0));
  const TaskId after = graph.add_task(ResourceId(1), Duration(2));
  const TaskId other = graph.add_task(ResourceId(1), Duration(2));
  graph.add_edge(zero, after);
  graph.finish();
  const Timeline timeline = run(graph);
  EXPECT_EQ(timeline.start[after], SimTime(0));
  EXPECT_EQ(timeline.start[other], SimTime(2));
}

TEST(FifoEngine, EmptyGraphsEndAtZero) {
  for (const size_t resources : {size_t{0}, size_t{3}}) {
    TaskGraph graph(resources);
    graph.finish();
    Timeline timeline = run(graph);
    EXPECT_EQ(timeline.makespan, SimTime());
    EXPECT_EQ(timeline.events, 0u);
    EXPECT_TRUE(check_trace(graph, timeline));
  }
}

TEST(FifoEngine, ReachesTheLastRepresentableMoment) {
  constexpr int64_t kLast = std::numeric_limits<int64_t>::max();
  TaskGraph graph(1);
  graph.add_task(ResourceId(0), Duration(kLast - 1));
  graph.add_task(ResourceId(0), Duration(1));
  graph.add_task(ResourceId(0), Duration(0));
  graph.finish();
  const Timeline timeline = run(graph);
  EXPECT_EQ(timeline.makespan, SimTime(kLast));
  EXPECT_TRUE(check_trace(graph, timeline));
}

// A million tasks in 100 chains. engine_bench.cc prints the bytes per task.
TEST(FifoEngine, MemoryStaysFlatOverRunsOfAMillionTasks) {
  constexpr uint32_t kTasks = 1'000'000;
  constexpr uint32_t kChains = 100;
  TaskGraph graph(kChains);
  for (uint32_t i = 0; i < kTasks; ++i) {
    graph.add_task(ResourceId(i * 31 % kChains), Duration(1 + i * 7919 % 1000));
    if (i >= kChains) graph.add_edge(TaskId(i - kChains), TaskId(i));
  }
  graph.finish();
  const auto heap_bytes = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const size_t before = heap_bytes();
  FifoEngine engine;
  Timeline timeline;
  engine.run(graph, timeline);
  const size_t after = heap_bytes();
  EXPECT_LE(after - before, size_t{kTasks} * 40);  // 24 of times, 9 of queue, 4 of counts
  for (int i = 0; i < 2; ++i) {
    engine.run(graph, timeline);
    EXPECT_EQ(heap_bytes(), after) << "run " << i;
  }
}

TEST(FifoEngineDeathTest, AbortsWhenTimeOverflowsOrTheGraphIsNotFinished) {
  TaskGraph graph(1);
  graph.add_task(ResourceId(0), Duration(std::numeric_limits<int64_t>::max()));
  graph.add_task(ResourceId(0), Duration(1));
  EXPECT_DEATH(run(graph), "not finished");
  graph.finish();
  EXPECT_DEATH(run(graph), "simulated time overflow");
}

}  // namespace
}  // namespace soapbox
