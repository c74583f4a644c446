#include "calib/runs/graph_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>

#include "calib/backend/precise_wait.h"
#include "sim/base/rng.h"
#include "sim/engine/random_graph.h"

namespace soapbox::calib {
namespace {

constexpr ResourceId kFirst(0);
constexpr ResourceId kSecond(1);
constexpr ResourceId kBarriers(2);

// Performs nothing, but notes who performed what.
class Recorder {
 public:
  GraphRunSpec spec() {
    GraphRunSpec spec;
    spec.perform = [this](TaskId task, int64_t, const std::atomic<bool>&) -> Status {
      const std::lock_guard lock(mutex_);
      order_.push_back(task);
      return ok();
    };
    return spec;
  }
  const std::vector<TaskId>& order() const { return order_; }

 private:
  std::mutex mutex_;
  std::vector<TaskId> order_;
};

void expect_real_schedule(const TaskGraph& graph, const GraphRun& run) {
  std::vector<int64_t> free_at(graph.resource_count());
  std::vector<TaskId> by_start;
  for (const TaskId task : id_range<TaskId>(graph.task_count())) {
    by_start.push_back(task);
    EXPECT_LE(0, run.ready_ns[task]);
    EXPECT_LE(run.ready_ns[task], run.start_ns[task]);
    EXPECT_LE(run.start_ns[task], run.end_ns[task]);
    EXPECT_LE(run.end_ns[task], run.makespan_ns);
    for (const TaskId next : graph.successors(task)) {
      EXPECT_LE(run.end_ns[task], run.ready_ns[next]);
    }
  }
  std::sort(by_start.begin(), by_start.end(), [&](TaskId a, TaskId b) {
    return std::pair(run.start_ns[a], a) < std::pair(run.start_ns[b], b);
  });
  for (const TaskId task : by_start) {  // one at a time
    if (graph.duration(task) == Duration()) continue;
    int64_t& free = free_at[graph.resource(task).index()];
    EXPECT_LE(free, run.start_ns[task]);
    free = run.end_ns[task];
  }
}

TEST(GraphRun, TasksWaitForTheirPredecessorsAndTheirResource) {
  TaskGraph graph(3);
  const TaskId a = graph.add_task(kFirst, milliseconds(1));
  const TaskId b = graph.add_task(kFirst, milliseconds(1));
  const TaskId c = graph.add_task(kSecond, milliseconds(1));
  const TaskId barrier = graph.add_task(kBarriers, Duration());
  const TaskId d = graph.add_task(kSecond, milliseconds(1));
  graph.add_edge(a, c);
  graph.add_edge(b, barrier);
  graph.add_edge(c, barrier);
  graph.add_edge(barrier, d);
  graph.finish();
  EXPECT_EQ(busy_resources(graph), (std::vector<ResourceId>{kFirst, kSecond}));
  Recorder recorder;
  const Result<GraphRun> run = run_graph(graph, recorder.spec());
  ASSERT_TRUE(run);
  expect_real_schedule(graph, *run);
  ASSERT_EQ(recorder.order().size(), 4U);  // nobody performs a barrier
  EXPECT_EQ(recorder.order().front(), a);  // ready at once with b, of smaller id
  EXPECT_EQ(recorder.order().back(), d);
  EXPECT_EQ(run->start_ns[barrier], run->end_ns[barrier]);
  EXPECT_EQ(run->end_ns[barrier], std::max(run->end_ns[b], run->end_ns[c]));
}

TEST(GraphRun, RandomGraphsRunWholeAndInAnAllowedOrder) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed);
    const TaskGraph graph = random_graph(rng, RandomGraphShape{200, 6, 3, 4});
    Recorder recorder;
    const Result<GraphRun> run = run_graph(graph, recorder.spec());
    ASSERT_TRUE(run);
    expect_real_schedule(graph, *run);
  }
}

TEST(GraphRun, AnEmptyGraphTakesNoTime) {
  TaskGraph graph(1);
  graph.finish();
  Recorder recorder;
  EXPECT_EQ(run_graph(graph, recorder.spec())->makespan_ns, 0);
}

TEST(GraphRun, TheFirstFailureEndsTheRun) {
  TaskGraph graph(2);
  const TaskId broken = graph.add_task(kFirst, milliseconds(1));
  const TaskId after = graph.add_task(kFirst, milliseconds(1));
  graph.add_task(kSecond, milliseconds(1));
  graph.add_edge(broken, after);
  graph.finish();
  GraphRunSpec spec;
  spec.perform = [&](TaskId task, int64_t, const std::atomic<bool>& stop) -> Status {
    EXPECT_NE(task, after);
    if (task == broken) return Error{ErrorCode::kEnvironment, "broken", {}};
    wait_until(INT64_MAX, stop);  // as long as nobody fails
    return ok();
  };
  const Result<GraphRun> run = run_graph(graph, spec);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().message, "broken");
}

TEST(GraphRun, AnInterruptEndsTheRun) {
  TaskGraph graph(1);
  graph.add_task(kFirst, milliseconds(1));
  graph.finish();
  GraphRunSpec spec;
  spec.perform = [&](TaskId, int64_t, const std::atomic<bool>& stop) -> Status {
    wait_until(INT64_MAX, stop);
    return ok();
  };
  spec.interrupted = [] { return true; };
  const Result<GraphRun> run = run_graph(graph, spec);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, ErrorCode::kInterrupted);
}

TEST(GraphRun, RealTimeBecomesSimulatedTime) {
  GraphRun run;
  run.ready_ns.push_back(1'000);
  run.start_ns.push_back(2'000);
  run.end_ns.push_back(4'000);
  run.makespan_ns = 4'000;
  // 500 real seconds to the simulated one: 4 us are 8 ns.
  const Timeline timeline = to_timeline(run, 500);
  EXPECT_EQ(timeline.ready[TaskId(0)], SimTime(2'000));
  EXPECT_EQ(timeline.start[TaskId(0)], SimTime(4'000));
  EXPECT_EQ(timeline.makespan, SimTime(8'000));
}

}  // namespace
}  // namespace soapbox::calib
