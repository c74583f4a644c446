// What is known of a communication library on one kind of cluster, beyond the cluster's links.
// Written down in scenarios/profiles/collectives.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/provenance.h"
#include "sim/base/units.h"
#include "sim/collective/algorithms.h"
#include "sim/collective/measured.h"

namespace soapbox {

// How a library sends messages of a certain size: the smaller, the less it may wait, and the more
// of the bandwidth it gives away for that (LL, LL128 and Simple of NCCL).
struct Protocol {
  double launch = 0;     // seconds, once
  double near_step = 0;  // seconds for each message that waits for another, beyond the latency of
  double far_step = 0;   // its route: inside a node, between nodes
  double near_efficiency = 1;  // of the bandwidth of links
  double far_efficiency = 1;
};

// Measured: one collective among the first ranks of a node.
struct CollectiveCurve {
  CollectiveOp op = CollectiveOp::kAllReduce;
  int64_t ranks = 2;
  MeasuredCollective times;
  double link_bandwidth = 0;  // of the ring (Fabric::near_ring) or, for send_recv, the pair
  Bytes first = {};  // the smallest size that it was fitted to; the largest ends its last segment
  double error = 0;  // relative, covers 90 % of what was held out
};

struct CollectiveProfile {
  std::string source;
  std::vector<std::string> hardware;  // ids of the catalogue
  std::string link_type = "nvlink";   // what joins them in a node (Fabric::near_type)
  Provenance provenance = Provenance::kDatasheet;
  std::vector<Protocol> protocols;
  // Reduction in the switches of a node (NVLS), of all_reduce from this many ranks on; 0: none.
  int64_t switch_reduction_ranks = 0;
  double switch_reduction_efficiency = 0;  // of the bandwidth of links
  double switch_reduction_launch = 0;      // seconds beyond a protocol's launch
  std::vector<CollectiveCurve> curves;
  // Of the protocols, in one node and over several: relative, covers 90 % of what was held out.
  double near_error = 0;
  double far_error = 0;
};

}  // namespace soapbox
