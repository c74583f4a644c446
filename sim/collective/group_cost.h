// What a collective of a process group takes, in closed form: for plans that are compared by the
// million. `simulate_collective` (collective.h) sends the messages instead.
//
// Model. An algorithm makes a chain of messages that wait for each other, inside nodes and between
// them, and loads the links; as it is pipelined, the slower kind of link decides. With the figures
// of a protocol,
//     T(S) = launch + near_steps (near_step + near_latency) + far_steps (far_step + far_latency)
//            + S max(near_load / (near_efficiency near_bandwidth),
//                    far_load / (far_efficiency far_bandwidth)),
// and the library takes the fastest: the least over algorithms and protocols. For n = m N ranks, m
// in each of N nodes, and S bytes (counted as in collective.h), the loads are what a rank sends to
// its neighbour in the node and what all ranks of a node send out of it, in S:
//     algorithm            near_load    far_load      near_steps       far_steps
//     ring all_reduce      2 (n-1)/n    2 (n-1)/n     2 (n-1)(1-N/n)   2 (n-1) N/n
//     ring gather, scatter (n-1)/n      (n-1)/n       (n-1)(1-N/n)     (n-1) N/n
//     ring broadcast       1            1             (n-1)(1-N/n)     (n-1) N/n
//     double binary tree   2/0.92       d(N)          2 (m-1)          2 ceil(log2 N)
//     switch tree          (m+1)/m      d(N)          2                2 ceil(log2 N)
//     direct all_to_all    (m-1)/n      m (n-m)/n     (m-1)/8          (n-m)/8
//     direct send_recv     1 if N = 1   1 if N > 1    1 if N = 1       1 if N > 1
// The rings of a library cross a node over all NICs together, so far_load is shared by them. d(N)
// is what the busiest node of two binary trees sends: 1, 1.5, 2 for 2, 3, 4 or more nodes. In a
// "switch tree" the switch of a node adds up and multicasts, and each rank is the root of its m-th
// part: hierarchical. Groups that sit on the same nodes share their NICs equally.
//
// Inside one node, a measured curve of the collective takes precedence; that of another number of
// ranks corrects the model by its ratio.
//
// References: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in
// MPICH", 2005; Sanders, Speck, Traeff, "Two-tree algorithms for full bandwidth broadcast,
// reduction and scan", 2009; the bus factors of nccl-tests. O(1).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/cluster/cluster.h"
#include "sim/collective/collective_profile.h"
#include "sim/collective/fabric.h"

namespace soapbox {

// Where the ranks of a group sit.
struct GroupShape {
  int64_t ranks_per_node = 1;
  int64_t nodes = 1;
  int64_t groups_per_node = 1;  // that do the same at the same time on a node, this one included
  int64_t node_stride = 1;      // from one node of the group to the next
};

struct CollectiveTime {
  Duration time;
  // The true time is expected in [time x relative_low, time x relative_high]: 90 %.
  double relative_low = 1;
  double relative_high = 1;
  Provenance provenance = Provenance::kDatasheet;
  const char* algorithm = "none";
};

// What links alone say errs by up to a factor of two.
inline constexpr double kUncalibratedLow = 0.5;
inline constexpr double kUncalibratedHigh = 2;

// NCCL's own model (its tuner): what is assumed where nothing was measured.
CollectiveProfile public_constants(bool nvlink);

// Immutable, safe to share between threads.
class GroupCosts {
 public:
  static GroupCosts make(Fabric fabric, CollectiveProfile profile);
  // `profile`: of this kind of cluster, or null: then the public constants of a library's own
  // model, and wide intervals.
  static GroupCosts make(const Cluster& cluster, const CollectiveProfile* profile);

  // No time for groups of one rank and for no bytes.
  // REQUIRES: bytes >= 0 and at most 2^48; every figure of the shape >= 1, and ranks_per_node at
  // most the devices of a node.
  CollectiveTime time(CollectiveOp op, Bytes bytes, const GroupShape& shape) const;

  const Fabric& fabric() const { return fabric_; }
  const std::string& source() const { return profile_.source; }

 private:
  GroupCosts(Fabric fabric, CollectiveProfile profile);

  struct Demand;
  struct Best;
  bool measured_on_such_links(const CollectiveCurve& curve) const;
  Demand ring(const GroupShape& shape, double passes, double load) const;
  Demand double_tree(const GroupShape& shape) const;
  Demand switch_tree(const GroupShape& shape) const;
  Demand exchange(const GroupShape& shape) const;
  Demand send(const GroupShape& shape) const;
  void take_faster(const Demand& demand, const GroupShape& shape, double bytes, Best& best) const;
  Best model_time(CollectiveOp op, double bytes, const GroupShape& shape) const;
  CollectiveTime curve_time(const CollectiveCurve& curve, Bytes bytes,
                            const GroupShape& shape) const;
  double far_bandwidth(const GroupShape& shape, int64_t distance) const;
  double far_latency(int64_t distance) const;

  Fabric fabric_;
  CollectiveProfile profile_;
  std::vector<int32_t> curves_;  // by ranks and op: the nearest in the profile; -1: none
};

}  // namespace soapbox
