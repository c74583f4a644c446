// Rows of kernels whose times follow from max() by hand.
#include "calib/runs/two_clocks.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/base/rng.h"
#include "sim/model/models.h"

namespace soapbox::calib {
namespace {

// One device, tasks one after the other; microseconds of the device and of the host.
struct Row {
  explicit Row(const std::vector<std::pair<int, int>>& kernels) : graph(1) {
    for (const auto& [device_us, host_us] : kernels) {
      const TaskId task = graph.add_task(ResourceId(0), microseconds(device_us));
      if (order.size() > 0) graph.add_edge(order.back(), task);
      order.push_back(task);
      host.push_back(microseconds(host_us));
    }
    graph.finish();
  }
  Timeline run() const { return run_two_clocks(graph, order, host); }
  int64_t makespan_us() const { return run().makespan.picoseconds() / 1'000'000; }

  TaskGraph graph;
  std::vector<TaskId> order;
  IdVector<TaskId, Duration> host;
};

// Long kernels hide all launches but the first; short ones wait for each, the last is seen.
TEST(TwoClocks, TheSlowerClockSetsThePace) {
  EXPECT_EQ(Row({{10, 3}, {10, 3}, {10, 3}}).makespan_us(), 3 + 30);
  EXPECT_EQ(Row({{3, 10}, {3, 10}, {3, 10}}).makespan_us(), 30 + 3);
}

// While the long one runs the host gets ahead: the sum of the larger times, 70 us, is too much, and
// the larger of the sums, 42, too little.
TEST(TwoClocks, AQueueEvensOutLongAndShort) {
  // Launched at 2, 12, 22, 32, 42; started at 2, 32, 33, 34, 42: ends at 43.
  const Row row({{30, 2}, {1, 10}, {1, 10}, {1, 10}, {1, 10}});
  const Timeline timeline = row.run();
  const std::vector<int64_t> starts_us = {2, 32, 33, 34, 42};
  for (size_t i = 0; i < starts_us.size(); ++i) {
    EXPECT_EQ(timeline.start[row.order[i]] - SimTime(), microseconds(starts_us[i])) << i;
  }
  EXPECT_EQ(row.makespan_us(), 43);
}

// start_i = max(end_(i-1), sum of launches up to i), for any row.
TEST(TwoClocks, EqualsTheRecurrence) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    std::vector<std::pair<int, int>> kernels;
    for (uint32_t i = 0; i < 1 + rng.below(40); ++i) {
      kernels.emplace_back(1 + rng.below(20), 1 + rng.below(20));
    }
    int64_t launched = 0;
    int64_t end = 0;
    for (const auto& [device_us, host_us] : kernels) {
      launched += host_us;
      end = std::max(end, launched) + device_us;
    }
    EXPECT_EQ(Row(kernels).makespan_us(), end) << "seed " << seed;
  }
}

// What needs no launch waits for the tasks it needs alone.
TEST(TwoClocks, ATaskWithoutLaunchRunsBesideTheStream) {
  TaskGraph graph(2);
  const TaskId kernel = graph.add_task(ResourceId(0), microseconds(5));
  const TaskId elsewhere = graph.add_task(ResourceId(1), microseconds(7));
  const TaskId next = graph.add_task(ResourceId(0), microseconds(1));
  graph.add_edge(elsewhere, next);
  graph.finish();
  IdVector<TaskId, Duration> host;
  for (const int host_us : {2, 0, 2}) host.push_back(microseconds(host_us));
  const Timeline timeline = run_two_clocks(graph, {kernel, elsewhere, next}, host);
  EXPECT_EQ(timeline.start[kernel] - SimTime(), microseconds(2));
  EXPECT_EQ(timeline.start[elsewhere], SimTime());
  EXPECT_EQ(timeline.start[next] - SimTime(), microseconds(7));
}

TEST(LaunchTimes, AreThoseMeasuredOrTheMedianOfTheirKind) {
  const Result<MeasuredTable> table = MeasuredTable::parse(
      "hardware,kind,type,phase,extents,window,time_us\n"
      "gpu,linear,fp32,forward,8x16x32,-,10\n"
      "gpu,linear,fp32,forward,8x16x64,-,14\n"
      "gpu,linear,fp32,forward,8x16x128,-,30\n"
      "gpu,elementwise,fp32,forward,8x16,-,5\n",
      "t.csv", "gpu");
  ASSERT_TRUE(table) << table.error().to_string();
  const LaunchTimes times(*table);
  const Model model = *build_model("lenet", 8);
  const Operator* linear = nullptr;
  for (const Operator& op : model.graph.ops()) {
    if (op.kind == OpKind::kLinear) linear = &op;
  }
  ASSERT_NE(linear, nullptr);
  const auto of = [&](const Extents& extents, Phase phase) {
    return times.of(PiecePart{linear, extents, phase});
  };
  EXPECT_EQ(of({8, 16, 64, 1, 1, 1}, Phase::kForward), microseconds(14));
  EXPECT_EQ(of({9, 99, 999, 1, 1, 1}, Phase::kForward), microseconds(14));  // of 10, 14, 30
  EXPECT_EQ(times.of(StreamWork{StreamWork::Kind::kUpdate, Bytes(64), 2}), microseconds(5));
  EXPECT_EQ(of({9, 99, 999, 1, 1, 1}, Phase::kBackwardInput), microseconds(14));  // of all
}

}  // namespace
}  // namespace soapbox::calib
