// What is known of a communication library on one kind of cluster, beyond the cluster's links.
// Written down in scenarios/profiles/collectives.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/provenance.h"
#include "sim/base/units.h"
#include "sim/collective/algorithms.h"

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

struct AlphaBetaLine {
  double alpha_s = 0;
  double beta_s_per_byte = 0;
};

// Measured: one collective among the first ranks of a node. The time is the least of the lines,
// each of which is a protocol.
struct CollectiveCurve {
  CollectiveOp op = CollectiveOp::kAllReduce;
  int64_t ranks = 2;
  std::vector<AlphaBetaLine> lines;
  Bytes first;  // the smallest and the largest size that it was fitted to
  Bytes last;
  double error = 0;  // mean, relative, on held-out sizes
};

struct CollectiveProfile {
  std::string source;
  Provenance provenance = Provenance::kDatasheet;
  std::vector<Protocol> protocols;
  // Reduction in the switches of a node (NVLS), of all_reduce from this many ranks on; 0: none.
  int64_t switch_reduction_ranks = 0;
  double switch_reduction_efficiency = 0;  // of the bandwidth of links
  std::vector<CollectiveCurve> curves;
  double error = 0;  // of the protocols: relative, covers 90 % of what was held out
};

}  // namespace soapbox
