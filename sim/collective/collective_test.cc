// Times against closed forms, and the executor against the task graph engine.
#include "sim/collective/collective.h"

#include <gtest/gtest.h>

#include "sim/collective/fair_network.h"
#include "sim/collective/step_engine.h"
#include "sim/collective/test_clusters.h"
#include "sim/engine/check_flows.h"
#include "sim/engine/check_trace.h"

namespace soapbox {
namespace {

constexpr Duration kLatency = microseconds(3);
const CableSpec kCable{10, kLatency};            // 10 GB/s: 100 ps for a byte
constexpr int64_t kBytes = 720'720LL * 17 * 16;  // divisible by 2 .. 17, and by 4 chunks of those

Duration wire(int64_t bytes) {
  return Duration(bytes * 100);
}

CollectiveOutcome simulate(const Cluster& cluster, const CollectiveSpec& spec) {
  return simulate_collective(cluster, first_ranks(static_cast<uint32_t>(cluster.device_count())),
                             spec)
      .value();
}

CollectiveSpec spec_of(CollectiveOp op, std::string algorithm, uint32_t chunks = 1) {
  return {.op = op, .algorithm = std::move(algorithm), .bytes = Bytes(kBytes), .chunks = chunks};
}

TEST(Collective, RingTakesItsClosedFormExactly) {
  for (uint32_t n = 2; n <= 17; ++n) {
    const Cluster cluster = full_mesh(n, kCable);
    const Duration pass = (kLatency + wire(kBytes / n)) * (n - 1);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kAllReduce, "ring")).time, pass * 2);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kReduceScatter, "ring")).time, pass);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kAllGather, "ring")).time, pass);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kSendRecv, "ring")).time,
              kLatency + wire(kBytes));
    // The chain: the last chunk leaves rank 0 after all others and takes n - 1 hops.
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kBroadcast, "ring", 4)).time,
              wire(kBytes / 4) * 3 + (kLatency + wire(kBytes / 4)) * (n - 1));
  }
}

// K chunks follow each other on every link. With w = S / (n K b): where K w >= a + w the links
// never rest and a step takes K w; else a step takes a + w and the chunks trail by (K - 1) w at the
// end.
TEST(Collective, ChunksHideLatencyUntilTheLinkIsBusy) {
  constexpr uint32_t kRanks = 8;
  constexpr uint32_t kChunks = 4;
  for (const Duration latency : {microseconds(1), milliseconds(2), milliseconds(50)}) {
    const Cluster cluster = full_mesh(kRanks, {10, latency});
    const Duration w = wire(kBytes / (kRanks * kChunks));
    const int64_t steps = 2 * (kRanks - 1);
    const Duration expected = latency + w < w * kChunks ? w * kChunks * steps + latency
                                                        : (latency + w) * steps + w * (kChunks - 1);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kAllReduce, "ring", kChunks)).time, expected)
        << latency.seconds();
  }
}

TEST(Collective, HalvingDoublingTakesItsClosedFormExactly) {
  for (uint32_t k = 1; k <= 4; ++k) {
    const uint32_t n = 1U << k;
    const Cluster cluster = full_mesh(n, kCable);
    const Duration pass = kLatency * k + wire(kBytes / n * (n - 1));
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kReduceScatter, "halving_doubling")).time,
              pass);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kAllGather, "halving_doubling")).time, pass);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kAllReduce, "halving_doubling")).time,
              pass * 2);
  }
  // 6 ranks: 4 take part, 2 pairs give all their data before and get it back after.
  EXPECT_EQ(
      simulate(full_mesh(6, kCable), spec_of(CollectiveOp::kAllReduce, "halving_doubling")).time,
      (kLatency * 2 + wire(kBytes / 4 * 3)) * 2 + (kLatency + wire(kBytes)) * 2);
}

TEST(Collective, TreeTakesItsClosedFormExactly) {
  for (uint32_t depth = 1; depth <= 3; ++depth) {
    const uint32_t n = (2U << depth) - 1;
    const Cluster cluster = full_mesh(n, kCable);
    const Duration down = (kLatency + wire(kBytes)) * depth;
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kBroadcast, "tree")).time, down);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kAllReduce, "tree")).time, down * 2);
    const Duration chunk = wire(kBytes / 4);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kAllReduce, "tree", 4)).time,
              (kLatency + chunk) * (2 * depth) + chunk * 3);
  }
}

// 2^k - 1 ranks: both trees have depth k - 1 and move half of the data, on different cables.
TEST(Collective, DoubleBinaryTreeMovesHalfOfTheDataInEachTree) {
  for (const uint32_t depth : {1U, 2U, 3U}) {
    const Cluster cluster = full_mesh((2U << depth) - 1, kCable);
    EXPECT_EQ(simulate(cluster, spec_of(CollectiveOp::kAllReduce, "double_binary_tree")).time,
              (kLatency + wire(kBytes / 2)) * (2 * depth));
  }
}

TEST(Collective, DirectTakesOneLinkTimeOnAMeshAndOnePortTimeOnASwitch) {
  for (uint32_t n = 2; n <= 17; ++n) {
    const Cluster mesh = full_mesh(n, kCable);
    const Cluster hub = star(n, kCable);
    const Duration link = kLatency + wire(kBytes / n);
    const Duration port = kLatency * 2 + wire(kBytes / n * (n - 1));
    for (const CollectiveOp op :
         {CollectiveOp::kAllToAll, CollectiveOp::kReduceScatter, CollectiveOp::kAllGather}) {
      EXPECT_EQ(simulate(mesh, spec_of(op, "direct")).time, link);
      EXPECT_EQ(simulate(hub, spec_of(op, "direct")).time, port);
    }
    EXPECT_EQ(simulate(mesh, spec_of(CollectiveOp::kAllReduce, "direct")).time, link * 2);
    EXPECT_EQ(simulate(hub, spec_of(CollectiveOp::kAllReduce, "direct")).time, port * 2);
    EXPECT_EQ(simulate(mesh, spec_of(CollectiveOp::kSendRecv, "direct")).time,
              kLatency + wire(kBytes));
    EXPECT_EQ(simulate(hub, spec_of(CollectiveOp::kBroadcast, "direct")).time,
              kLatency * 2 + wire(kBytes) * (n - 1));
  }
}

// N nodes of g ranks on one NIC each of 2 GB/s: in the nodes rings on ports of 10 GB/s; among them
// g rings share the NIC, which is never idle: a step takes g messages of S / n.
TEST(Collective, HierarchicalTakesTheSumOfItsStages) {
  constexpr uint32_t kNodes = 4;
  constexpr uint32_t kPerNode = 4;
  const Cluster cluster = nodes_with_one_nic(kNodes, kPerNode, kCable, {2, kLatency});
  const Duration inside = (kLatency * 2 + wire(kBytes / kPerNode)) * (2 * (kPerNode - 1));
  const Duration message = wire(kBytes / (kNodes * kPerNode)) * 5;
  const CollectiveOutcome outcome =
      simulate(cluster, spec_of(CollectiveOp::kAllReduce, "hierarchical"));
  const Duration steps_apart = message * kPerNode;  // 4 messages of 765 us hide 12 us of latency
  // The slowest ring starts its last step after all others; each step's message then travels on.
  EXPECT_GE(outcome.time, inside + steps_apart * (2 * (kNodes - 1)) + kLatency * 4);
  EXPECT_LE(outcome.time, inside + (steps_apart + kLatency * 4) * (2 * (kNodes - 1)));
}

TEST(Collective, BusBandwidthOfALongRingIsTheLinks) {
  for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kReduceScatter,
                                CollectiveOp::kAllGather, CollectiveOp::kSendRecv}) {
    const CollectiveOutcome outcome = simulate(full_mesh(9, {10, Duration()}), spec_of(op, "ring"));
    EXPECT_DOUBLE_EQ(outcome.bus_bandwidth, 10e9) << collective_row(op).op_name;
  }
}

TEST(Collective, RefusesUnknownNamesAndSingleDevices) {
  const Cluster cluster = full_mesh(3, kCable);
  const auto error = [&](std::span<const DeviceId> devices, const CollectiveSpec& spec) {
    return simulate_collective(cluster, devices, spec).error().message;
  };
  const std::vector<DeviceId> devices = first_ranks(3);
  EXPECT_NE(error(devices, spec_of(CollectiveOp::kAllReduce, "rnig")).find("ring"),
            std::string::npos);
  EXPECT_NE(error(devices, spec_of(CollectiveOp::kAllToAll, "tree")).find("direct"),
            std::string::npos);
  EXPECT_NE(error(first_ranks(1), spec_of(CollectiveOp::kAllReduce, "ring")).find("at least 2"),
            std::string::npos);
  EXPECT_NE(
      error(devices, spec_of(CollectiveOp::kAllGather, "halving_doubling")).find("power of two"),
      std::string::npos);
  EXPECT_FALSE(find_collective("allreduce"));
}

// The task graph of a schedule whose paths have at most one link each: a task on the link, and one
// on a resource of its own for the time in flight.
struct Unrolled {
  TaskGraph graph;
  std::vector<TaskId> flights;  // by message and chunk
};

Unrolled unroll(const Schedule& schedule, const StepNetwork& network, Bytes total,
                uint32_t chunks) {
  const size_t messages = size_t{schedule.message_count()} * chunks;
  const size_t links = network.links().size();
  Unrolled unrolled{TaskGraph(links + 2 * messages), {}};
  const uint32_t count = schedule.message_count();
  const MessageBytes bytes_of(schedule, total, chunks);
  for (uint32_t event = 0; event < messages; ++event) {
    const Message message = schedule.message(event % count);
    Duration wire_time;
    Duration latency;
    auto link = static_cast<uint32_t>(links + 2 * event);  // its own where it needs none
    if (!message.is_join()) {
      const std::span<const uint32_t> path = network.path_links(message.path);
      latency = network.path_latency(message.path);
      SOAPBOX_CHECK(path.size() <= 1, "a path of several links has no such graph");
      if (!path.empty()) {
        link = path[0];
        wire_time = bytes_of.of(message, event / count) / network.links()[link].bandwidth;
      }
    }
    const TaskId sending = unrolled.graph.add_task(ResourceId(link), wire_time);
    const auto lane = static_cast<uint32_t>(links + 2 * event + 1);
    unrolled.flights.push_back(unrolled.graph.add_task(ResourceId(lane), latency));
    unrolled.graph.add_edge(sending, unrolled.flights.back());
  }
  for (uint32_t event = 0; event < messages; ++event) {
    uint32_t lone = 0;
    for (const uint32_t next : schedule.dependents(event % count, lone)) {
      unrolled.graph.add_edge(unrolled.flights[event], TaskId(2 * (event - event % count + next)));
    }
  }
  unrolled.graph.finish();
  return unrolled;
}

// Each time of each message equals that of the general engine, whose trace its own judge accepts.
void expect_same_as_task_graph(const Schedule& schedule, const StepNetwork& network, Bytes total,
                               uint32_t chunks, const std::string& what) {
  const Unrolled unrolled = unroll(schedule, network, total, chunks);
  FifoEngine fifo;
  Timeline timeline;
  fifo.run(unrolled.graph, timeline);
  ASSERT_TRUE(check_trace(unrolled.graph, timeline)) << what;
  StepEngine engine;
  std::vector<Delivery> log;
  const StepsOutcome outcome = engine.run(schedule, network, total, chunks, &log).value();
  EXPECT_EQ(outcome.time, timeline.makespan - SimTime()) << what;
  for (const Delivery& delivery : log) {
    const uint32_t event = delivery.chunk * schedule.message_count() + delivery.message;
    ASSERT_EQ(delivery.ready, timeline.ready[TaskId(2 * event)]) << what << " event " << event;
    ASSERT_EQ(delivery.delivered, timeline.end[unrolled.flights[event]]) << what;
  }
}

TEST(StepEngine, EqualsTheTaskGraphOnMeshesForEveryAlgorithm) {
  for (const AlgorithmRow& row : algorithm_table()) {
    for (const CollectiveOp op : row.ops) {
      for (const uint32_t n : {2U, 3U, 4U, 6U, 8U, 12U}) {
        const Cluster cluster = full_mesh(n, {7.3, nanoseconds(531)});
        const Result<std::unique_ptr<const Schedule>> schedule = row.build({op, n, 2});
        if (!schedule) continue;
        const StepNetwork network(cluster, first_ranks(n), (*schedule)->pairs());
        for (const uint32_t chunks : {1U, 3U}) {
          for (const int64_t bytes : {0, 5, 1'000'003}) {
            expect_same_as_task_graph(
                **schedule, network, Bytes(bytes), chunks,
                str_cat(row.name, " ", collective_row(op).op_name, " ", n, " ranks"));
          }
        }
      }
    }
  }
}

// Where nodes send through one NIC and nothing else is narrow: many messages queue at one link.
// Ranks of a node are on one device, so that only the NICs remain.
TEST(StepEngine, EqualsTheTaskGraphWhereMessagesQueueForOneLink) {
  ClusterBuilder builder;
  const VertexId a = builder.add_device(0);
  const VertexId b = builder.add_device(1);
  builder.add_cable(a, b, {3.1, nanoseconds(977)});
  const Cluster cluster = builder.make();
  std::vector<DeviceId> devices;
  for (uint32_t rank = 0; rank < 12; ++rank) devices.push_back(DeviceId(rank % 2));
  for (const AlgorithmRow& row : algorithm_table()) {
    for (const CollectiveOp op : row.ops) {
      const Result<std::unique_ptr<const Schedule>> schedule = row.build({op, 12, 3});
      if (!schedule) continue;
      const StepNetwork network(cluster, devices, (*schedule)->pairs());
      expect_same_as_task_graph(**schedule, network, Bytes(1'000'003), 2,
                                str_cat(row.name, " ", collective_row(op).op_name));
    }
  }
}

// Galvatron's measurements on 2 nodes of 8 GPUs and one NIC each (its repository,
// hardware_configs/allreduce_bandwidth_2nodes_8gpus_per_node.json: 1 / ms per MB of all_reduce bus
// bandwidth): the ring of all 16 reaches 4.66 GB/s, rings of 4 with every 4th GPU 1.98 each, pairs
// with every 8th 1.16 each, where all rings of a kind run at once.
//
// One figure for the NIC must give all three. In the node a GPU gets the 4.66 GB/s of the 16-ring,
// which crosses the NIC once in each direction. 4 rings of 4 with two GPUs in each node cross it 4
// times, 8 pairs 8 times, so their measured loads of one direction are 4 x 1.98 = 7.92 and
// 8 x 1.16 = 9.28 GB/s: no single figure can be nearer than +-8 %. It is taken in the middle, 8.6.
struct SharedNic {
  uint32_t group_size;
  uint32_t stride;
  double measured_gb_per_s;
};

TEST(Collective, NicSharingEmergesFromOneNicCapacity) {
  constexpr int64_t kLarge = 64 << 20;
  const Cluster cluster =
      nodes_with_one_nic(2, 8, {4.66, nanoseconds(1500)}, {8.6, nanoseconds(1500)});
  for (const CollectiveNetwork network : {CollectiveNetwork::kSteps, CollectiveNetwork::kFair}) {
    for (const SharedNic& c : {SharedNic{16, 1, 4.66}, SharedNic{4, 4, 1.98}, {2, 8, 1.16}}) {
      const auto groups = strided_groups(cluster, c.group_size, c.stride);
      ASSERT_TRUE(groups) << groups.error().to_string();
      ASSERT_EQ(groups->size(), c.stride);
      CollectiveSpec spec{.op = CollectiveOp::kAllReduce, .algorithm = "ring", .network = network};
      spec.bytes = Bytes(kLarge);
      spec.chunks = 8;
      const double bus = simulate_concurrent(cluster, *groups, spec)->bus_bandwidth / 1e9;
      EXPECT_NEAR(bus / c.measured_gb_per_s, 1, 0.09) << c.group_size << " ranks: " << bus;
    }
  }
}

TEST(Collective, GroupsWithAStrideCoverEveryDeviceOnce) {
  const Cluster cluster = star(12, kCable);
  const auto groups = strided_groups(cluster, 3, 2);
  ASSERT_TRUE(groups);
  const std::vector<std::vector<DeviceId>> expected = {{DeviceId(0), DeviceId(2), DeviceId(4)},
                                                       {DeviceId(1), DeviceId(3), DeviceId(5)},
                                                       {DeviceId(6), DeviceId(8), DeviceId(10)},
                                                       {DeviceId(7), DeviceId(9), DeviceId(11)}};
  EXPECT_EQ(*groups, expected);
  EXPECT_FALSE(strided_groups(cluster, 5, 1));
  EXPECT_FALSE(strided_groups(cluster, 1, 1));
  EXPECT_FALSE(strided_groups(cluster, 4, 0));
  EXPECT_FALSE(strided_groups(cluster, 3, SIZE_MAX / 2));
}

TEST(Collective, FairSharingGivesTheClosedFormsWhereNothingIsShared) {
  // Rates are rounded down to 1/64 byte per second, ends up to a picosecond.
  const auto near = [](Duration found, Duration expected) {
    EXPECT_NEAR(found.seconds() / expected.seconds(), 1, 1e-9);
  };
  for (const uint32_t n : {2U, 3U, 8U, 11U}) {
    const Cluster cluster = full_mesh(n, kCable);
    CollectiveSpec spec = spec_of(CollectiveOp::kAllReduce, "ring");
    spec.network = CollectiveNetwork::kFair;
    const Duration ring = (kLatency + wire(kBytes / n)) * (2 * (n - 1));
    near(simulate(cluster, spec).time, ring);
    spec.fold = false;
    near(simulate(cluster, spec).time, ring);
    spec.algorithm = "direct";
    near(simulate(cluster, spec).time, (kLatency + wire(kBytes / n)) * 2);
    // Everything through one port at once, with fair sharing as one after the other.
    near(simulate(star(n, kCable), spec).time, (kLatency * 2 + wire(kBytes / n * (n - 1))) * 2);
  }
}

TEST(Collective, TheIndependentCheckerAcceptsFairRunsOfEveryAlgorithm) {
  const Cluster cluster = nodes_with_one_nic(3, 4, kCable, {2, kLatency});
  for (const AlgorithmRow& row : algorithm_table()) {
    for (const CollectiveOp op : row.ops) {
      const Result<std::unique_ptr<const Schedule>> schedule = row.build({op, 12, 4});
      if (!schedule) continue;
      const StepNetwork network(cluster, first_ranks(12), (*schedule)->pairs());
      const FairGraph fair = make_fair_graph(**schedule, network, Bytes(1'000'003), 2).value();
      FlowEngine engine;
      Timeline timeline;
      std::vector<RateChange> log;
      engine.run(fair.graph, fair.links, timeline, &log);
      const Status accepted = check_flows(fair.graph, fair.links, timeline, log);
      EXPECT_TRUE(accepted) << row.name << ": " << (accepted ? "" : accepted.error().message);
    }
  }
}

// "auto" estimates; here it is held against the simulated times of all algorithms.
TEST(Collective, AutomaticChoiceIsNeverFarFromTheBest) {
  const std::vector<Cluster> clusters = {full_mesh(8, kCable), star(8, kCable), star(6, kCable),
                                         nodes_with_one_nic(4, 4, kCable, {2, kLatency}),
                                         nodes_with_one_nic(16, 1, kCable, {5, kLatency})};
  for (const Cluster& cluster : clusters) {
    for (const CollectiveRow& op : collective_table()) {
      for (const int64_t bytes : {1LL << 10, 1LL << 16, 1LL << 20, 1LL << 26, 1LL << 30}) {
        CollectiveSpec spec{.op = op.op};
        spec.bytes = Bytes(bytes);
        const CollectiveOutcome chosen = simulate(cluster, spec);
        Duration best = chosen.time;
        for (const AlgorithmRow& row : algorithm_table()) {
          spec.algorithm = row.name;
          const Result<CollectiveOutcome> other = simulate_collective(
              cluster, first_ranks(static_cast<uint32_t>(cluster.device_count())), spec);
          if (other) best = std::min(best, other->time);
        }
        EXPECT_LE(chosen.time.seconds(), 1.3 * best.seconds())
            << op.op_name << " of " << bytes << " on " << cluster.device_count() << " chose "
            << chosen.algorithm;
      }
    }
  }
}

}  // namespace
}  // namespace soapbox
