// 1,024 ranks on a rail-optimised fat tree with oversubscription 1, 2 and 4, against closed forms.
//
// 128 nodes of 8 devices on an NVSwitch-like hub and one NIC each; NIC i of the 32 nodes of a unit
// is on the unit's leaf i; every leaf has one cable up, which carries what its 32 NICs can, divided
// by the oversubscription.
#include <gtest/gtest.h>

#include "sim/collective/collective.h"
#include "sim/collective/test_clusters.h"

namespace soapbox {
namespace {

constexpr uint32_t kNodes = 128;
constexpr uint32_t kPerNode = 8;
constexpr uint32_t kUnit = 32;
constexpr uint32_t kRanks = kNodes * kPerNode;
constexpr int64_t kBytes = int64_t{1} << 30;
constexpr double kInside = 400;  // GB/s
constexpr double kNic = 50;
constexpr Duration kHop = nanoseconds(500);

Cluster rail_fat_tree(double oversubscription) {
  ClusterBuilder builder;
  const VertexId spine = builder.add_switch("spine");
  std::vector<VertexId> leaves;
  for (uint32_t i = 0; i < kNodes / kUnit * kPerNode; ++i) {
    leaves.push_back(builder.add_switch(str_cat("leaf", i)));
    builder.add_cable(leaves.back(), spine, {kUnit * kNic / oversubscription, kHop});
  }
  for (uint32_t node = 0; node < kNodes; ++node) {
    const VertexId hub = builder.add_switch(str_cat("node", node, ".hub"), NodeId(node));
    for (uint32_t i = 0; i < kPerNode; ++i) {
      const VertexId device = builder.add_device(node);
      builder.add_cable(device, hub, {kInside, kHop});
      builder.add_cable(device, leaves[node / kUnit * kPerNode + i], {kNic, kHop});
    }
  }
  return builder.make();
}

double seconds(double oversubscription, const std::string& algorithm, CollectiveNetwork network,
               uint32_t chunks = 1) {
  const Cluster cluster = rail_fat_tree(oversubscription);
  CollectiveSpec spec{.op = CollectiveOp::kAllReduce, .algorithm = algorithm, .network = network};
  spec.bytes = Bytes(kBytes);
  spec.chunks = chunks;
  return simulate_collective(cluster, first_ranks(kRanks), spec)->time.seconds();
}

// A ring in the order of ranks leaves a node by rail 7 and enters the next by rail 0, so all 32
// nodes of a unit send through the leaf of rail 7 to the spine at once: each gets 50 / o GB/s. A
// step cannot be faster than 32 messages of S / n through that cable, and takes at most that long,
// four hops of latency and one message through the NIC more.
TEST(FatTree, RingInRankOrderIsHeldUpByTheOversubscription) {
  for (const double o : {1.0, 2.0, 4.0}) {
    const double message = static_cast<double>(kBytes) / kRanks;
    const double steps = 2 * (kRanks - 1);
    const double step = message / (kNic * 1e9 / o);
    const double time = seconds(o, "ring", CollectiveNetwork::kSteps);
    EXPECT_GE(time, steps * step) << o;
    EXPECT_LE(time, steps * step * 1.01) << o;
  }
}

// Rails in the middle stage: nothing but one ring in eight passes the spine from a unit, so the
// oversubscription does not matter:
//     2 (g - 1) (a1 + S / (g b1)) + 2 (N - 1) (a2 + S / (n b2)),
// where a1 is two hops and a2 between two (same leaf) and four (over the spine).
TEST(FatTree, HierarchicalStaysOnItsRailsWhateverTheOversubscription) {
  const double g = kPerNode;
  const double hop = kHop.seconds();
  const double inside = 2 * (g - 1) * (2 * hop + kBytes / g / (kInside * 1e9));
  const double wire = static_cast<double>(kBytes) / kRanks / (kNic * 1e9);
  const double steps = 2.0 * (kNodes - 1);
  for (const double o : {1.0, 2.0, 4.0}) {
    const double time = seconds(o, "hierarchical", CollectiveNetwork::kSteps);
    EXPECT_GE(time, inside + steps * (2 * hop + wire)) << o;
    EXPECT_LE(time, inside + steps * (4 * hop + wire)) << o;
  }
}

// With distances of 8 and more ranks partners are on one rail; from 256 on, in other units: two
// steps in which the 32 nodes of a unit send half and a quarter of S through each leaf's cable.
//     pass = S (1/2 + 1/4) o / b2 + S (1/8 + .. + 1/128) / b2 + S (1/256 + .. + 1/1024) / b1
// With fair sharing this is so. First in, first out, the last of 32 messages begins on its own NIC
// when the 31 before have left the shared cable, so a step costs up to twice as much; in 32 chunks
// that vanishes, and steps that use different links overlap.
TEST(FatTree, HalvingDoublingPaysForTheOversubscriptionInItsLongSteps) {
  const double s = kBytes;
  const double nic = kNic * 1e9;
  for (const double o : {1.0, 2.0, 4.0}) {
    const double far = s * 0.75 * o / nic;
    const double pass = far + s * (0.25 - 1.0 / 128) / nic +
                        s * (1.0 / 128 - 1.0 / 1024) / (kInside * 1e9) +
                        (2 * 4 + 8 * 2) * kHop.seconds();
    EXPECT_NEAR(seconds(o, "halving_doubling", CollectiveNetwork::kFair) / (2 * pass), 1, 1e-3)
        << o;
    const double in_chunks = seconds(o, "halving_doubling", CollectiveNetwork::kSteps, 32);
    EXPECT_GE(in_chunks, 2 * far) << o;
    EXPECT_LE(in_chunks, 2 * pass * 1.1) << o;
  }
}

}  // namespace
}  // namespace soapbox
