#include "sim/collective/group_cost.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/base/rng.h"
#include "sim/collective/collective.h"
#include "sim/collective/test_clusters.h"

namespace soapbox {
namespace {

// A library that costs nothing: what remains are the links.
CollectiveProfile ideal_library() {
  CollectiveProfile profile;
  profile.source = "ideal";
  profile.provenance = Provenance::kCalibratedRoofline;
  profile.protocols = {Protocol{}};
  return profile;
}

double seconds(const GroupCosts& costs, CollectiveOp op, Bytes bytes, const GroupShape& shape) {
  return costs.time(op, bytes, shape).time.seconds();
}

// A ring on a switch sends 2 (n - 1) blocks of S / n one after the other, to the picosecond of
// rounding of each: the simulated time and the closed form are the same.
TEST(GroupCost, IsTheSimulatedRingOnASwitch) {
  const CollectiveProfile profile = ideal_library();
  for (const uint32_t ranks : {2U, 3U, 8U}) {
    const Cluster cluster = star(ranks, {10, nanoseconds(300)});
    const GroupCosts costs = GroupCosts::make(cluster, &profile);
    for (const CollectiveOp op :
         {CollectiveOp::kAllReduce, CollectiveOp::kReduceScatter, CollectiveOp::kAllGather}) {
      const CollectiveSpec spec{.op = op, .algorithm = "ring", .bytes = Bytes(ranks * 1'000'000)};
      const auto outcome = simulate_collective(cluster, first_ranks(ranks), spec);
      ASSERT_TRUE(outcome);
      const GroupShape shape{.ranks_per_node = ranks};
      EXPECT_NEAR(seconds(costs, op, spec.bytes, shape) / outcome->time.seconds(), 1, 1e-6)
          << collective_row(op).op_name << " among " << ranks;
    }
  }
}

// The same across nodes whose NIC is as fast as the links inside: n - N hops near, N hops far.
TEST(GroupCost, IsTheSimulatedRingAcrossNodes) {
  const CollectiveProfile profile = ideal_library();
  const CableSpec cable{10, nanoseconds(500)};
  const Cluster cluster = nodes_with_one_nic(4, 4, cable, cable);
  const GroupCosts costs = GroupCosts::make(cluster, &profile);
  const CollectiveSpec spec{
      .op = CollectiveOp::kAllReduce, .algorithm = "ring", .bytes = Bytes(160'000'000)};
  const auto outcome = simulate_collective(cluster, first_ranks(16), spec);
  ASSERT_TRUE(outcome);
  const CollectiveTime time = costs.time(spec.op, spec.bytes, {.ranks_per_node = 4, .nodes = 4});
  EXPECT_NEAR(time.time.seconds() / outcome->time.seconds(), 1, 0.01);
  EXPECT_STREQ(time.algorithm, "ring");
}

// What NICs do to groups, by hand, on two nodes of 8 behind one NIC of 10 GB/s, links inside ten
// times as fast. S = 1 GB:
//     all 16 ranks: ring 15/16 x 2 GB = 1.875 GB through the NIC, tree 1 GB: 0.1 s;
//     8 groups of 2, one rank each side: each has 1.25 GB/s: 0.8 s. Alone: 0.1 s.
TEST(GroupCost, GroupsShareTheNic) {
  const CollectiveProfile profile = ideal_library();
  const Cluster cluster = nodes_with_one_nic(2, 8, {100, Duration()}, {10, Duration()});
  const GroupCosts costs = GroupCosts::make(cluster, &profile);
  const Bytes size(1'000'000'000);
  const auto all_reduce = [&](const GroupShape& shape) {
    return seconds(costs, CollectiveOp::kAllReduce, size, shape);
  };
  EXPECT_NEAR(all_reduce({.ranks_per_node = 8, .nodes = 2}), 0.1, 1e-9);
  EXPECT_NEAR(all_reduce({.ranks_per_node = 1, .nodes = 2, .groups_per_node = 8}), 0.8, 1e-9);
  EXPECT_NEAR(all_reduce({.ranks_per_node = 1, .nodes = 2}), 0.1, 1e-9);
  EXPECT_NEAR(seconds(costs, CollectiveOp::kAllGather, size, {.ranks_per_node = 8, .nodes = 2}),
              15.0 / 16 / 10, 1e-9);
  // Each of 16 sends 8/16 GB to the other node: 8 x 0.5 GB through a NIC.
  EXPECT_NEAR(seconds(costs, CollectiveOp::kAllToAll, size, {.ranks_per_node = 8, .nodes = 2}), 0.4,
              1e-9);
  EXPECT_NEAR(seconds(costs, CollectiveOp::kSendRecv, size,
                      {.ranks_per_node = 1, .nodes = 2, .groups_per_node = 4}),
              0.4, 1e-9);
}

// Messages that wait count for small sizes: 2 (n - 1) in a ring, 2 log2 N between nodes in a tree.
TEST(GroupCost, SmallSizesTakeTheTreeAcrossNodes) {
  const CollectiveProfile profile = ideal_library();
  const Cluster cluster = nodes_with_one_nic(64, 1, {10, Duration()}, {10, microseconds(1)});
  const GroupCosts costs = GroupCosts::make(cluster, &profile);
  const GroupShape shape{.ranks_per_node = 1, .nodes = 64};
  const CollectiveTime small = costs.time(CollectiveOp::kAllReduce, Bytes(64), shape);
  EXPECT_STREQ(small.algorithm, "double_binary_tree");
  EXPECT_NEAR(small.time.seconds(), 2 * 6 * 2e-6, 1e-7);
  const CollectiveTime large = costs.time(CollectiveOp::kAllReduce, gibibytes(4), shape);
  EXPECT_STREQ(large.algorithm, "ring");
}

// Whatever the shape: no time for nothing, never less for more bytes, for more groups that share
// the NICs, or than the links alone would take.
TEST(GroupCost, GrowsWithSizeAndSharing) {
  const Cluster cluster = nodes_with_one_nic(16, 8, {300, nanoseconds(700)}, {50, microseconds(2)});
  const GroupCosts costs = GroupCosts::make(cluster, nullptr);
  Rng rng(7, 0);
  for (int trial = 0; trial < 2000; ++trial) {
    const GroupShape shape{.ranks_per_node = 1 + static_cast<int64_t>(rng.below(8)),
                           .nodes = 1 + static_cast<int64_t>(rng.below(16)),
                           .groups_per_node = 1};
    GroupShape crowded = shape;
    crowded.groups_per_node = 4;
    for (const CollectiveRow& row : collective_table()) {
      EXPECT_EQ(costs.time(row.op, Bytes(), shape).time, Duration());
      const Bytes size(1 + (int64_t{rng.below(1 << 16)} << 16));
      const CollectiveTime time = costs.time(row.op, size, shape);
      if (shape.ranks_per_node * shape.nodes == 1) {
        EXPECT_EQ(time.time, Duration());
        continue;
      }
      EXPECT_GT(time.time, Duration());
      EXPECT_GE(costs.time(row.op, size * 2, shape).time, time.time);
      EXPECT_GE(costs.time(row.op, size, crowded).time, time.time);
      EXPECT_EQ(time.provenance, Provenance::kDatasheet);
      EXPECT_LT(time.relative_low, 1);
      EXPECT_GT(time.relative_high, 1);
    }
  }
}

// A measured curve is used for the ranks of its node, with its own interval; for other ranks it
// corrects the model; on other links it is not used.
TEST(GroupCost, PrefersTheMeasuredCurve) {
  CollectiveProfile profile = ideal_library();
  profile.curves = {{.op = CollectiveOp::kAllGather,
                     .ranks = 4,
                     .times = *MeasuredCollective::make(
                         {{Bytes(2'000'000), 10e-6, 1 / 50e9}, {gibibytes(1), 30e-6, 1 / 100e9}}),
                     .link_bandwidth = 100e9,
                     .first = kibibytes(1),
                     .error = 0.05}};
  const GroupCosts costs = GroupCosts::make(star(8, {100, Duration()}), &profile);
  const GroupShape four{.ranks_per_node = 4};
  EXPECT_NEAR(seconds(costs, CollectiveOp::kAllGather, Bytes(1'000'000), four), 30e-6, 1e-11);
  EXPECT_NEAR(seconds(costs, CollectiveOp::kAllGather, Bytes(4'000'000), four), 70e-6, 1e-11);
  const CollectiveTime inside = costs.time(CollectiveOp::kAllGather, mebibytes(1), four);
  EXPECT_EQ(inside.provenance, Provenance::kInterpolated);
  EXPECT_DOUBLE_EQ(inside.relative_high, 1.05);
  const CollectiveTime outside = costs.time(CollectiveOp::kAllGather, gibibytes(2), four);
  EXPECT_EQ(outside.provenance, Provenance::kCalibratedRoofline);
  EXPECT_GT(outside.relative_high, inside.relative_high);
  // Eight ranks: the ring takes 7/8 S where four take 3/4 S, so the curve is stretched by 7/6.
  EXPECT_NEAR(seconds(costs, CollectiveOp::kAllGather, Bytes(4'000'000), {.ranks_per_node = 8}),
              70e-6 * 7 / 6, 1e-11);
  EXPECT_STREQ(costs.time(CollectiveOp::kAllReduce, mebibytes(1), four).algorithm, "ring");
  const GroupCosts degraded = GroupCosts::make(star(8, {80, Duration()}), &profile);
  EXPECT_STREQ(degraded.time(CollectiveOp::kAllGather, mebibytes(1), four).algorithm, "ring");
}

}  // namespace
}  // namespace soapbox
