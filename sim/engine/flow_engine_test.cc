#include "sim/engine/flow_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/engine/check_flows.h"
#include "sim/engine/check_trace.h"
#include "sim/engine/random_graph.h"

namespace soapbox {
namespace {

using testing::HasSubstr;

constexpr Duration kNone = Duration();
constexpr int64_t kMs = 1'000'000'000;

// Resources: links first, then devices.
Network make_network(std::vector<double> link_gb_per_s, size_t devices = 0,
                     SharedResource device = {}) {
  Network network;
  for (double rate : link_gb_per_s) network.push_back(SharedResource{gb_per_s(rate)});
  for (size_t i = 0; i < devices; ++i) network.push_back(device);
  return network;
}

RouteId add_route(TaskGraph& graph, std::vector<uint32_t> links, ResourceId from = {},
                  ResourceId to = {}) {
  std::vector<ResourceId> ids;
  for (uint32_t link : links) ids.emplace_back(link);
  return graph.routes().add(ids, from, to);
}

TaskId add_flow(TaskGraph& graph, RouteId route, int64_t bytes, Duration latency = kNone) {
  return graph.add_flow(Flow{route, Bytes(bytes), latency}, ResourceId(0), kNone);
}

// Runs, and has the run judged.
Timeline run(TaskGraph& graph, const Network& network) {
  if (!graph.finished()) graph.finish();
  FlowEngine engine;
  Timeline timeline;
  std::vector<RateChange> log;
  engine.run(graph, network, timeline, &log);
  const Status status = check_flows(graph, network, timeline, log);
  EXPECT_TRUE(status) << status.error().message;
  return timeline;
}

std::vector<int64_t> ends_ps(const Timeline& timeline) {
  std::vector<int64_t> ends;
  for (SimTime end : timeline.end) ends.push_back(end.picoseconds());
  return ends;
}

TEST(FlowEngine, AFlowAloneTakesLatencyAndBytesOverTheSlowestLink) {
  TaskGraph graph(2);
  add_flow(graph, add_route(graph, {0, 1}), 1'000'000, Duration(7));
  EXPECT_EQ(run(graph, make_network({1, 4})).makespan, SimTime(7 + kMs));
}

TEST(FlowEngine, TwoFlowsOnOneLinkTakeTwiceAsLong) {
  TaskGraph graph(1);
  add_flow(graph, add_route(graph, {0}), 1'000'000);
  add_flow(graph, add_route(graph, {0}), 1'000'000);
  EXPECT_EQ(ends_ps(run(graph, make_network({1}))), (std::vector<int64_t>{2 * kMs, 2 * kMs}));
}

TEST(FlowEngine, TwoFlowsOnOneRouteShareItToo) {
  TaskGraph graph(1);
  const RouteId route = add_route(graph, {0});
  add_flow(graph, route, 1'000'000);
  add_flow(graph, route, 3'000'000);
  // Half each until 2 ms; then 2 MB are left at the full rate.
  EXPECT_EQ(ends_ps(run(graph, make_network({1}))), (std::vector<int64_t>{2 * kMs, 4 * kMs}));
}

TEST(FlowEngine, DirectionsOfACableAreIndependent) {
  TaskGraph graph(2);
  add_flow(graph, add_route(graph, {0}), 1'000'000);
  add_flow(graph, add_route(graph, {1}), 1'000'000);
  EXPECT_EQ(run(graph, make_network({1, 1})).makespan, SimTime(kMs));
}

// 2 MB from 0 on; 1 MB joins at 1 ms, when 1 MB is left. Both halves take 2 ms more.
TEST(FlowEngine, ALateJoinerHalvesTheRateOfTheFirst) {
  TaskGraph graph(1);
  add_flow(graph, add_route(graph, {0}), 2'000'000);
  add_flow(graph, add_route(graph, {0}), 1'000'000, Duration(kMs));
  EXPECT_EQ(ends_ps(run(graph, make_network({1}))), (std::vector<int64_t>{3 * kMs, 3 * kMs}));
}

// Parking lot with 1, 2 and 4 GB/s: the long flow gets 0.5; the others 0.5, 1.5 and 3.5 GB/s. All
// have what they can send in 2 ms.
TEST(FlowEngine, ParkingLotSharesEndTogether) {
  TaskGraph graph(3);
  add_flow(graph, add_route(graph, {0, 1, 2}), 1'000'000);
  add_flow(graph, add_route(graph, {0}), 1'000'000);
  add_flow(graph, add_route(graph, {1}), 3'000'000);
  add_flow(graph, add_route(graph, {2}), 7'000'000);
  EXPECT_EQ(ends_ps(run(graph, make_network({1, 2, 4}))), (std::vector<int64_t>(4, 2 * kMs)));
}

TEST(FlowEngine, FlowsWithoutBytesOrLinksTakeTheirLatency) {
  TaskGraph graph(1);
  const TaskId first = add_flow(graph, add_route(graph, {0}), 0, Duration(5));
  const TaskId second = add_flow(graph, add_route(graph, {}), 1000, Duration(3));
  graph.add_edge(first, second);
  const TaskId third = add_flow(graph, add_route(graph, {0}), 0);
  graph.add_edge(second, third);
  EXPECT_EQ(ends_ps(run(graph, make_network({1}))), (std::vector<int64_t>{5, 8, 8}));
}

TEST(FlowEngine, AFlowEndsAtTheFirstPicosecondAtWhichAllIsSent) {
  TaskGraph graph(1);
  add_flow(graph, add_route(graph, {0}), 1);  // 1 byte at 3 GB/s: 333.33 ps
  EXPECT_EQ(run(graph, make_network({3})).makespan, SimTime(334));
}

// A task of 10 ms, a flow of 4 ms alone. The task runs at half speed while the flow is sent, so it
// does 2 ms of work meanwhile.
TEST(FlowEngine, ATaskIsSlowedWhileAFlowIsSent) {
  const ResourceId device(1);
  TaskGraph graph(2);
  graph.add_task(device, Duration(10 * kMs));
  add_flow(graph, add_route(graph, {0}, device), 4'000'000);
  EXPECT_EQ(ends_ps(run(graph, make_network({1}, 1, {{}, 2, 1}))),
            (std::vector<int64_t>{12 * kMs, 4 * kMs}));
}

// The flow is capped at 1 / 1.25 of its 1 GB/s until the task ends at 2 ms: 1.6 of 4 MB.
TEST(FlowEngine, AFlowIsSlowedWhileATaskRuns) {
  const ResourceId device(1);
  TaskGraph graph(2);
  graph.add_task(device, Duration(2 * kMs));
  add_flow(graph, add_route(graph, {0}, {}, device), 4'000'000);
  EXPECT_EQ(ends_ps(run(graph, make_network({1}, 1, {{}, 1, 1.25}))),
            (std::vector<int64_t>{2 * kMs, 2 * kMs + 2'400'000'000}));
}

// Both: work w and bytes b such that each ends while the other would go on. With slowdowns 2
// and 1.25, until the flow ends at 5 ms the task does 2.5 of its 10 ms.
TEST(FlowEngine, TasksAndFlowsSlowEachOther) {
  const ResourceId device(1);
  TaskGraph graph(2);
  graph.add_task(device, Duration(10 * kMs));
  add_flow(graph, add_route(graph, {0}, device, device), 4'000'000);
  EXPECT_EQ(ends_ps(run(graph, make_network({1}, 1, {{}, 2, 1.25}))),
            (std::vector<int64_t>{12'500'000'000, 5 * kMs}));
}

TEST(FlowEngine, LatencyDisturbsNobody) {
  const ResourceId device(1);
  TaskGraph graph(2);
  graph.add_task(device, Duration(kMs));
  add_flow(graph, add_route(graph, {0}, device), 1'000'000, Duration(kMs));
  EXPECT_EQ(ends_ps(run(graph, make_network({1}, 1, {{}, 2, 2}))),
            (std::vector<int64_t>{kMs, 2 * kMs}));
}

TEST(FlowEngine, WithoutFlowsItEqualsTheFifoEngine) {
  FlowEngine engine;
  Timeline timeline;
  Timeline expected;
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, 4);
    const TaskGraph graph = random_graph(rng, random_shape(rng));
    engine.run(graph, Network(graph.resource_count()), timeline);
    FifoEngine().run(graph, expected);
    ASSERT_EQ(timeline.ready, expected.ready);
    ASSERT_EQ(timeline.start, expected.start);
    ASSERT_EQ(timeline.end, expected.end);
    ASSERT_EQ(timeline.makespan, expected.makespan);
  }
}

struct RandomFlows {
  static constexpr uint32_t kLinks = 6;
  static constexpr uint32_t kDevices = 4;

  explicit RandomFlows(Rng& rng) : graph(kLinks + kDevices) {
    const double task_slowdown = 1 + rng.below(3) * 0.3;
    const double flow_slowdown = 1 + rng.below(3) * 0.2;
    for (uint32_t l = 0; l < kLinks; ++l) {
      network.push_back(SharedResource{gb_per_s(1 + rng.below(4))});
    }
    for (uint32_t d = 0; d < kDevices; ++d) {
      network.push_back(SharedResource{{}, task_slowdown, flow_slowdown});
    }
    for (uint32_t r = 0; r < 8; ++r) {
      std::vector<uint32_t> links;
      for (uint32_t l = 0; l < kLinks; ++l) {
        if (rng.below(3) == 0) links.push_back(l);
      }
      add_route(graph, links, ResourceId(kLinks + rng.below(kDevices)),
                rng.below(4) == 0 ? ResourceId() : ResourceId(kLinks + rng.below(kDevices)));
    }
    const uint32_t tasks = 1 + rng.below(60);
    for (uint32_t i = 0; i < tasks; ++i) {
      TaskId task;
      if (rng.below(2) == 0) {
        task = graph.add_task(ResourceId(kLinks + rng.below(kDevices)), Duration(rng.below(4000)));
      } else {
        task = add_flow(graph, RouteId(rng.below(8)), rng.below(3) * rng.below(4000),
                        Duration(rng.below(2) * rng.below(1000)));
      }
      for (uint32_t e = 0; i > 0 && e < rng.below(3); ++e) {
        graph.add_edge(TaskId(rng.below(i)), task);
      }
    }
    graph.finish();
  }
  TaskGraph graph;
  Network network;
};

// run() has check_flows() judge capacity, bytes, dependencies and order at every moment.
TEST(FlowEngine, RandomRunsPassTheCheckerAndRepeatExactly) {
  FlowEngine reused;
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, 5);
    RandomFlows flows(rng);
    const Timeline timeline = run(flows.graph, flows.network);
    Timeline again;
    reused.run(flows.graph, flows.network, again);
    ASSERT_EQ(again.end, timeline.end);
    ASSERT_FALSE(HasFailure());
  }
}

// Ids of tasks order events, but how fast bytes are sent depends on the flows alone.
TEST(FlowEngine, EndsDoNotDependOnTheOrderOfFlowsOrOnUnrelatedOnes) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, 6);
    constexpr uint32_t kFlows = 12;
    std::vector<std::vector<uint32_t>> links(kFlows);
    std::vector<int64_t> bytes;
    std::vector<Duration> latency;
    for (uint32_t f = 0; f < kFlows; ++f) {
      for (uint32_t l = 0; l < 4; ++l) {
        if (rng.below(2) == 0) links[f].push_back(l);
      }
      bytes.push_back(rng.below(100'000));
      latency.push_back(Duration(rng.below(3) * 10'000'000));
    }
    const Network network = make_network({1, 1.5, 2, 3, 1});
    const auto ends_in_order = [&](const std::vector<uint32_t>& order, bool unrelated) {
      TaskGraph graph(5);
      for (uint32_t f = 0; f < kFlows; ++f) add_route(graph, links[f]);
      const RouteId other = add_route(graph, {4});
      std::vector<TaskId> tasks(kFlows);
      for (uint32_t f : order) {
        if (unrelated) add_flow(graph, other, 777 * f, Duration(999'999 * f));
        tasks[f] = add_flow(graph, RouteId(f), bytes[f], latency[f]);
      }
      const Timeline timeline = run(graph, network);
      std::vector<SimTime> ends;
      for (TaskId task : tasks) ends.push_back(timeline.end[task]);
      return ends;
    };
    std::vector<uint32_t> order(kFlows);
    std::iota(order.begin(), order.end(), 0);
    const std::vector<SimTime> expected = ends_in_order(order, false);
    EXPECT_EQ(ends_in_order(order, true), expected);
    std::ranges::reverse(order);
    EXPECT_EQ(ends_in_order(order, false), expected);
  }
}

class CheckFlows : public testing::Test {
 protected:
  CheckFlows() : graph_(2), network_(make_network({1}, 1)) {
    graph_.add_task(ResourceId(1), Duration(100));
    graph_.add_task(ResourceId(1), Duration(100));
    add_flow(graph_, add_route(graph_, {0}), 1000, Duration(50));
    add_flow(graph_, add_route(graph_, {0}), 1000);
    graph_.add_edge(TaskId(1), TaskId(2));
    graph_.finish();
    FlowEngine().run(graph_, network_, timeline_, &log_);
  }
  void expect_refused(const char* reason) {
    const Status status = check_flows(graph_, network_, timeline_, log_);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message, HasSubstr(reason));
  }
  TaskGraph graph_;
  Network network_;
  Timeline timeline_;
  std::vector<RateChange> log_;
};

TEST_F(CheckFlows, AcceptsTheEnginesRun) {
  EXPECT_TRUE(check_flows(graph_, network_, timeline_, log_));
}

TEST_F(CheckFlows, RefusesAFlowThatEndsEarlyOrLate) {
  const SimTime end = timeline_.end[TaskId(3)];
  timeline_.end[TaskId(3)] = SimTime(end.picoseconds() - 1);
  expect_refused("not all sent");
  timeline_.end[TaskId(3)] = end + Duration(1);
  expect_refused("all sent earlier");
}

TEST_F(CheckFlows, RefusesALinkOverCapacity) {
  // The same run on a link that is slower than the one it was simulated on.
  network_[ResourceId(0)].bandwidth = gb_per_s(0.99);
  expect_refused("link 0 carries");
}

TEST_F(CheckFlows, RefusesBrokenOrderAndDependencies) {
  const Timeline good = timeline_;
  timeline_.start[TaskId(1)] = SimTime(99);
  expect_refused("first in, first out: task 1");
  timeline_ = good;
  timeline_.end[TaskId(1)] = SimTime(201);
  expect_refused("task 2 is ready at 200 ps");
  timeline_ = good;
  timeline_.makespan = SimTime(1);
  expect_refused("makespan");
  timeline_ = good;
  timeline_.end[TaskId(0)] = SimTime(101);
  timeline_.start[TaskId(1)] = SimTime(101);
  expect_refused("task 0 takes 101 ps");
}

}  // namespace
}  // namespace soapbox
