// Folded and unfolded runs agree to the picosecond wherever a fold is found; where ranks differ,
// none is.
#include "sim/collective/fold.h"

#include <gtest/gtest.h>

#include <array>

#include "sim/base/rng.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"
#include "sim/collective/step_engine.h"
#include "sim/collective/test_clusters.h"

namespace soapbox {
namespace {

constexpr CableSpec kCable{10, nanoseconds(700)};
constexpr std::array kRingOps = {CollectiveOp::kAllReduce, CollectiveOp::kReduceScatter,
                                 CollectiveOp::kAllGather, CollectiveOp::kSendRecv};

// How many ranks stand for all on this network; 0 where none do. Fails where the times differ.
uint32_t fold_on(CollectiveNetwork network, const Cluster& cluster, CollectiveSpec spec) {
  spec.network = network;
  const std::vector<DeviceId> ranks = first_ranks(static_cast<uint32_t>(cluster.device_count()));
  CollectiveSpec unfolded = spec;
  unfolded.fold = false;
  const CollectiveOutcome a = simulate_collective(cluster, ranks, spec).value();
  const CollectiveOutcome b = simulate_collective(cluster, ranks, unfolded).value();
  EXPECT_EQ(a.time, b.time) << spec.algorithm << " of " << ranks.size() << " in " << spec.chunks;
  EXPECT_EQ(a.messages, b.messages);
  if (network == CollectiveNetwork::kSteps) {
    EXPECT_EQ(b.events, b.messages);
  }
  if (a.folded_ranks != 0) {
    EXPECT_EQ(a.events * ranks.size(), b.events * a.folded_ranks);
  }
  return a.folded_ranks;
}

uint32_t fold_of(const Cluster& cluster, const CollectiveSpec& spec) {
  const uint32_t ranks = fold_on(CollectiveNetwork::kSteps, cluster, spec);
  EXPECT_EQ(fold_on(CollectiveNetwork::kFair, cluster, spec), ranks) << spec.algorithm;
  return ranks;
}

TEST(Fold, OneRankStandsForAllOnAMeshAndOnASwitch) {
  for (const CollectiveOp op : kRingOps) {
    for (uint32_t n = 2; n <= 17; ++n) {
      for (const uint32_t chunks : {1U, 2U, 5U}) {
        const CollectiveSpec spec{
            .op = op, .algorithm = "ring", .bytes = Bytes(n * chunks * 10'007), .chunks = chunks};
        EXPECT_EQ(fold_of(full_mesh(n, kCable), spec), 1U);
        EXPECT_EQ(fold_of(star(n, kCable), spec), 1U);
      }
    }
  }
}

TEST(Fold, OneNodeStandsForAllWhereOnlyItsLastRankLeavesIt) {
  for (const CollectiveOp op : kRingOps) {
    for (const uint32_t nodes : {2U, 3U, 5U}) {
      for (const CableSpec nic : {CableSpec{1, nanoseconds(900)}, CableSpec{40, nanoseconds(10)}}) {
        const CollectiveSpec spec{
            .op = op, .algorithm = "ring", .bytes = Bytes(nodes * 4 * 3 * 999), .chunks = 3};
        EXPECT_EQ(fold_of(nodes_with_one_nic(nodes, 4, kCable, nic), spec), 4U);
      }
    }
  }
}

// Random cables, repeated after a random number of devices or not.
TEST(Fold, AgreesWithTheUnfoldedRunOnRandomRings) {
  int folds = 0;
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed);
    const uint32_t n = 2 + rng.below(15);
    const uint32_t repeat = 1 + rng.below(n);
    std::vector<CableSpec> cables;
    for (uint32_t i = 0; i < repeat; ++i) {
      cables.push_back({1.0 + rng.below(3), nanoseconds(rng.below(2) * 5000)});
    }
    ClusterBuilder builder;
    std::vector<VertexId> devices;
    for (uint32_t i = 0; i < n; ++i) devices.push_back(builder.add_device(0));
    for (uint32_t i = 0; i < n; ++i) {
      builder.add_link(devices[i], devices[(i + 1) % n], cables[i % repeat]);
    }
    const uint32_t chunks = 1 + rng.below(4);
    const CollectiveSpec spec{.op = kRingOps[rng.below(4)],
                              .algorithm = "ring",
                              .bytes = Bytes(n * chunks * 4096),
                              .chunks = chunks};
    SCOPED_TRACE(str_cat("seed ", seed));
    const uint32_t fold = fold_of(builder.make(), spec);
    if (fold != 0) {
      EXPECT_EQ(n % fold, 0U);
      ++folds;
    }
  }
  EXPECT_GT(folds, 50);
}

TEST(Fold, IsRefusedWhereRanksDiffer) {
  const CollectiveSpec spec{
      .op = CollectiveOp::kAllReduce, .algorithm = "ring", .bytes = Bytes(6 * 1000), .chunks = 1};
  ClusterBuilder builder;
  std::vector<VertexId> devices;
  for (uint32_t i = 0; i < 6; ++i) devices.push_back(builder.add_device(0));
  for (uint32_t i = 0; i < 6; ++i) {
    const double slow = i == 4 ? 0.5 : 1;
    builder.add_link(devices[i], devices[(i + 1) % 6], {slow, nanoseconds(5)});
  }
  EXPECT_EQ(fold_of(builder.make(), spec), 0U) << "one slow cable";

  CollectiveSpec uneven = spec;
  uneven.bytes = Bytes(6 * 1000 + 1);
  EXPECT_EQ(fold_of(full_mesh(6, kCable), uneven), 0U) << "blocks of two sizes";

  CollectiveSpec tree = spec;
  tree.algorithm = "tree";
  EXPECT_EQ(fold_of(full_mesh(6, kCable), tree), 0U) << "a tree is not a circle";
}

// Ranks 0 and 2 send through one link: alike, but not independent.
TEST(Fold, IsRefusedWhereRanksShareALink) {
  ClusterBuilder builder;
  std::vector<VertexId> devices;
  for (uint32_t i = 0; i < 4; ++i) devices.push_back(builder.add_device(0));
  const VertexId in = builder.add_switch("in", NodeId(0));
  const VertexId out = builder.add_switch("out", NodeId(0));
  for (const VertexId device : devices) {
    builder.add_link(device, in, kCable);
    builder.add_link(out, device, kCable);
  }
  builder.add_link(in, out, kCable);
  const CollectiveSpec spec{
      .op = CollectiveOp::kAllReduce, .algorithm = "ring", .bytes = Bytes(4000), .chunks = 1};
  EXPECT_EQ(fold_of(builder.make(), spec), 0U);
}

constexpr std::array kStepAlgorithms = {"halving_doubling", "direct"};

// Every rank does the same, on a mesh as well as where all messages of a rank share its ports.
TEST(Fold, OneRankStandsForAllInStepsThatShareLinks) {
  for (const char* algorithm : kStepAlgorithms) {
    for (const CollectiveRow& row : collective_table()) {
      if (!find_algorithm(row.op, algorithm)) continue;
      for (const uint32_t n : {2U, 4U, 8U, 16U}) {
        for (const uint32_t chunks : {1U, 3U}) {
          const CollectiveSpec spec{.op = row.op,
                                    .algorithm = algorithm,
                                    .bytes = Bytes(int64_t{n} * n * chunks * 1009),
                                    .chunks = chunks};
          const uint32_t expected = row.op == CollectiveOp::kBroadcast ? 0 : 1;
          if (expected == 0 && n == 2) continue;  // one message
          EXPECT_EQ(fold_of(full_mesh(n, kCable), spec), expected) << algorithm << row.op_name << n;
          EXPECT_EQ(fold_of(star(n, kCable), spec), expected) << algorithm << row.op_name << n;
        }
      }
    }
  }
}

// Nodes of g devices with a NIC for each, so that its rings do not meet.
Cluster nodes_with_rails(uint32_t nodes, uint32_t g, const CableSpec& inside,
                         const CableSpec& slow_first_nic) {
  ClusterBuilder builder;
  std::vector<VertexId> rails;
  for (uint32_t i = 0; i < g; ++i) rails.push_back(builder.add_switch("rail" + std::to_string(i)));
  for (uint32_t node = 0; node < nodes; ++node) {
    const VertexId hub = builder.add_switch("hub" + std::to_string(node), NodeId(node));
    for (uint32_t i = 0; i < g; ++i) {
      const VertexId device = builder.add_device(node);
      builder.add_cable(device, hub, inside);
      builder.add_cable(device, rails[i],
                        node == 0 ? slow_first_nic : CableSpec{5, microseconds(2)});
    }
  }
  return builder.make();
}

TEST(Fold, OneNodeStandsForAllOfAHierarchy) {
  for (const uint32_t nodes : {2U, 3U, 6U}) {
    for (const uint32_t chunks : {1U, 4U}) {
      const CollectiveSpec spec{.op = CollectiveOp::kAllReduce,
                                .algorithm = "hierarchical",
                                .bytes = Bytes(int64_t{nodes} * 4 * chunks * 1009),
                                .chunks = chunks};
      const CableSpec nic{5, microseconds(2)};
      EXPECT_EQ(fold_of(nodes_with_rails(nodes, 4, kCable, nic), spec), 4U) << nodes;
      // One slow node. Among three or more nothing repeats; of two, both ways cross its cables.
      const Cluster slow = nodes_with_rails(nodes, 4, kCable, {4, microseconds(2)});
      EXPECT_EQ(fold_of(slow, spec), nodes == 2 ? 4U : 0U) << nodes;
    }
  }
}

// Where ranks of a node share its NIC nobody stands for others, by (c) of fold.h; where nodes have
// one rank, or there is no second one to meet at the NIC, somebody may: with the same time.
TEST(Fold, AgreesWithTheUnfoldedRunWhereNodesShareANic) {
  Rng rng(11);
  uint32_t folded = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const uint32_t nodes = 1U << (1 + rng.below(3));
    const uint32_t per_node = 1U << rng.below(3);
    const CableSpec inside{1.0 + rng.below(20), nanoseconds(rng.below(2000))};
    const CableSpec nic{1.0 + rng.below(20), nanoseconds(rng.below(2000))};
    const Cluster cluster = nodes_with_one_nic(nodes, per_node, inside, nic);
    const uint32_t n = nodes * per_node;
    for (const char* algorithm : kStepAlgorithms) {
      const uint32_t chunks = 1 + rng.below(4);
      const CollectiveSpec spec{.op = CollectiveOp::kAllReduce,
                                .algorithm = algorithm,
                                .bytes = Bytes(int64_t{n} * n * chunks * (1 + rng.below(5000))),
                                .chunks = chunks};
      folded += fold_of(cluster, spec) != 0 ? 1 : 0;
    }
  }
  EXPECT_GT(folded, 10U);
}

}  // namespace
}  // namespace soapbox
