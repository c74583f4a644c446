// Lower bounds only: how late a busy machine wakes threads is not a property of the program.
#include "calib/runs/paced.h"

#include <gtest/gtest.h>

#include "calib/backend/precise_wait.h"
#include "calib/runs/paced_link.h"

namespace soapbox::calib {
namespace {

TEST(PreciseWait, ReturnsAtTheMomentOrLaterButNotEarlier) {
  const std::atomic<bool> go_on = false;
  for (const int64_t wait_ns : {int64_t{-5}, int64_t{1'000}, int64_t{60'000}, int64_t{300'000}}) {
    const int64_t deadline = steady_now_ns() + wait_ns;
    wait_until(deadline, go_on);
    EXPECT_GE(steady_now_ns(), deadline);
  }
}

TEST(PreciseWait, AStoppedWaitEnds) {
  const std::atomic<bool> stop = true;
  wait_until(INT64_MAX, stop);
}

// Two devices, a link between them: 2 ms, 1 ms over the link, 1 ms beside 3 ms.
TaskGraph two_devices() {
  TaskGraph graph(3);
  const TaskId first = graph.add_task(ResourceId(0), milliseconds(2));
  const TaskId transfer = graph.add_task(ResourceId(2), milliseconds(1));
  const TaskId second = graph.add_task(ResourceId(1), milliseconds(1));
  const TaskId beside = graph.add_task(ResourceId(0), milliseconds(3));
  graph.add_edge(first, transfer);
  graph.add_edge(transfer, second);
  graph.add_edge(first, beside);
  graph.finish();
  return graph;
}

TEST(Paced, NoTaskIsShorterThanItsScaledDuration) {
  const TaskGraph graph = two_devices();
  PacedSpec spec;
  spec.time_scale = 0.5;
  const Result<GraphRun> run = run_paced(graph, spec);
  ASSERT_TRUE(run);
  for (const TaskId task : run->start_ns.ids()) {
    const int64_t scaled_ns = graph.duration(task).picoseconds() / 2000;
    EXPECT_GE(run->end_ns[task] - run->start_ns[task], scaled_ns);
  }
  EXPECT_GE(run->makespan_ns, 2'500'000);  // half of 2 + 3 ms
  EXPECT_GE(lateness_s(graph, *run, 0.5, 0), 0);
  EXPECT_LE(lateness_s(graph, *run, 0.5, 0), lateness_s(graph, *run, 0.5, 1));
}

TEST(Paced, LatenessIsWhatATaskTookBeyondItsDuration) {
  const TaskGraph graph = two_devices();
  GraphRun run;
  for (const int64_t ms : {2, 1, 1, 3}) {
    run.start_ns.push_back(7);
    run.end_ns.push_back(7 + ms * 1'000'000 + 100 * ms);
  }
  EXPECT_DOUBLE_EQ(lateness_s(graph, run, 1, 0), 100e-9);
  EXPECT_DOUBLE_EQ(lateness_s(graph, run, 1, 1), 300e-9);
}

TEST(Paced, ALinkOverTcpCarriesItsBytesAtItsRate) {
  const TaskGraph graph = two_devices();
  PacedSpec spec;
  spec.tcp_bandwidths.assign(3, BytesPerSecond());
  spec.tcp_bandwidths[ResourceId(2)] = BytesPerSecond(40e6);
  const Result<GraphRun> run = run_paced(graph, spec);
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_GE(run->end_ns[TaskId(1)] - run->start_ns[TaskId(1)], 999'000);  // a byte is 25 ns
}

TEST(PacedLink, ManyTimesItsBufferTakesBytesOverRate) {
  const Result<PacedLink> link = PacedLink::open(BytesPerSecond(400e6));
  ASSERT_TRUE(link) << link.error().message;
  const std::atomic<bool> go_on = false;
  const int64_t start = steady_now_ns();
  ASSERT_TRUE(link->carry(Bytes(8'000'001), start, go_on));
  EXPECT_GE(steady_now_ns() - start, 20'000'000);
}

TEST(PacedLink, WhatIsSentArrives) {
  const Result<Connection> connection = connect_loopback();
  ASSERT_TRUE(connection) << connection.error().message;
  std::vector<std::byte> sent(100'000);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 31);
  std::vector<std::byte> received(sent.size());
  const std::atomic<bool> go_on = false;
  ASSERT_TRUE(exchange(
      {connection->sender.get(), sent, BytesPerSecond(1e9), connection->receiver.get(), received},
      steady_now_ns(), go_on));
  EXPECT_EQ(sent, received);
}

TEST(PacedLink, AClosedEndIsAnError) {
  Result<Connection> connection = connect_loopback();
  ASSERT_TRUE(connection);
  connection->sender = Socket();
  std::vector<std::byte> buffer(10);
  const std::atomic<bool> go_on = false;
  const Status done =
      exchange({-1, {}, BytesPerSecond(1), connection->receiver.get(), buffer}, 0, go_on);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kEnvironment);
}

}  // namespace
}  // namespace soapbox::calib
