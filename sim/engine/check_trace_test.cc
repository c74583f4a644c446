// A checker is worth what it refuses: every kind of corruption must be found.
#include "sim/engine/check_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/engine/random_graph.h"

namespace soapbox {
namespace {

using testing::HasSubstr;

// Task 0 (resource 0) feeds 2 and 3 (both resource 1); task 1 (resource 0) feeds 3.
//   resource 0: task 0 in [0, 4), task 1 in [4, 10)
//   resource 1: task 2 in [4, 7), task 3 in [10, 15)
class CheckTrace : public testing::Test {
 protected:
  CheckTrace() : graph_(2) {
    const TaskId a = graph_.add_task(ResourceId(0), Duration(4));
    const TaskId b = graph_.add_task(ResourceId(0), Duration(6));
    const TaskId c = graph_.add_task(ResourceId(1), Duration(3));
    const TaskId d = graph_.add_task(ResourceId(1), Duration(5));
    graph_.add_edge(a, c);
    graph_.add_edge(a, d);
    graph_.add_edge(b, d);
    graph_.finish();
    FifoEngine().run(graph_, timeline_);
  }
  void move_task(uint32_t task, int64_t start_ps) {
    timeline_.start[TaskId(task)] = SimTime(start_ps);
    timeline_.end[TaskId(task)] = SimTime(start_ps) + graph_.duration(TaskId(task));
  }
  void expect_refused(const char* reason) {
    const Status status = check_trace(graph_, timeline_);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message, HasSubstr(reason));
  }

  TaskGraph graph_;
  Timeline timeline_;
};

TEST_F(CheckTrace, AcceptsTheEnginesTimeline) {
  EXPECT_TRUE(check_trace(graph_, timeline_));
}

TEST_F(CheckTrace, RefusesAMissingTask) {
  timeline_.end.resize(3);
  expect_refused("does not have 4 tasks");
}

TEST_F(CheckTrace, RefusesATaskOfAnotherLength) {
  timeline_.end[TaskId(2)] = SimTime(8);
  expect_refused("task 2 starts at 4 ps and ends at 8 ps, but takes 3 ps");
}

TEST_F(CheckTrace, RefusesAStartBeforeTheReadyTime) {
  move_task(3, 9);
  expect_refused("task 3 starts at 9 ps, before it is ready at 10 ps");
}

TEST_F(CheckTrace, RefusesABrokenDependency) {
  move_task(2, 3);
  timeline_.ready[TaskId(2)] = SimTime(3);
  expect_refused("task 2 starts at 3 ps, before its predecessor task 0 ends at 4 ps");
}

TEST_F(CheckTrace, RefusesAWrongReadyTime) {
  timeline_.ready[TaskId(3)] = SimTime(9);
  expect_refused("task 3 is ready at 9 ps, but its last predecessor ends at 10 ps");
}

TEST_F(CheckTrace, RefusesTwoTasksAtOnce) {
  move_task(1, 3);
  move_task(3, 9);
  timeline_.ready[TaskId(3)] = SimTime(9);
  expect_refused("task 1 starts at 3 ps while task 0 holds the same resource until 4 ps");
}

TEST_F(CheckTrace, RefusesTasksOutOfOrder) {
  move_task(1, 0);
  move_task(0, 6);
  move_task(2, 10);
  move_task(3, 13);
  timeline_.ready[TaskId(2)] = timeline_.ready[TaskId(3)] = SimTime(10);
  timeline_.makespan = SimTime(18);
  expect_refused("first in, first out: task 0 starts at 6 ps");
}

TEST_F(CheckTrace, RefusesAPause) {
  move_task(2, 5);
  expect_refused("task 2 starts at 5 ps but it is ready at 4 ps");
}

TEST_F(CheckTrace, RefusesAWrongMakespan) {
  timeline_.makespan = SimTime(14);
  expect_refused("given as 14 ps, but the last task ends at 15 ps");
}

TEST_F(CheckTrace, RefusesEveryShiftOfOneTaskInRandomTimelines) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, 2);
    const TaskGraph graph = random_graph(rng, random_shape(rng));
    Timeline timeline;
    FifoEngine().run(graph, timeline);
    const TaskId task(rng.below(static_cast<uint32_t>(graph.task_count())));
    const Duration shift(static_cast<int64_t>(1 + rng.below(20)) * (rng.below(2) == 0 ? 1 : -1));
    timeline.start[task] = timeline.start[task] + shift;
    timeline.end[task] = timeline.end[task] + shift;
    EXPECT_FALSE(check_trace(graph, timeline)) << "task " << task.value();
  }
}

}  // namespace
}  // namespace soapbox
