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

// How many ranks stand for all; 0 where none do. Fails where the times differ.
uint32_t fold_of(const Cluster& cluster, const CollectiveSpec& spec) {
  const std::vector<DeviceId> ranks = first_ranks(static_cast<uint32_t>(cluster.device_count()));
  CollectiveSpec unfolded = spec;
  unfolded.fold = false;
  const CollectiveOutcome a = simulate_collective(cluster, ranks, spec).value();
  const CollectiveOutcome b = simulate_collective(cluster, ranks, unfolded).value();
  EXPECT_EQ(a.time, b.time) << spec.algorithm << " of " << ranks.size() << " in " << spec.chunks;
  EXPECT_EQ(a.messages, b.messages);
  EXPECT_EQ(b.events, b.messages);
  if (a.folded_ranks != 0) {
    EXPECT_EQ(a.events * ranks.size(), b.events * a.folded_ranks);
  }
  return a.folded_ranks;
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

}  // namespace
}  // namespace soapbox
