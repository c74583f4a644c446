// What an algorithm's time depends on in a cluster, in a handful of figures: for the choice between
// algorithms, not for their times, which are simulated.
#pragma once

#include <cstdint>
#include <span>

#include "sim/cluster/cluster.h"

namespace soapbox {

// Latencies in seconds, bandwidths in bytes per second.
struct Terrain {
  double ranks = 2;
  double nodes = 1;
  double ranks_per_node = 2;  // of the first node
  double near_latency = 0;    // between neighbours in a node; as far_* where nodes hold one rank
  double near_bandwidth = 1;
  double far_latency = 0;  // between neighbouring nodes; as near_* with one node
  double far_bandwidth = 1;
  // Each rank's share when all ranks of a node send to another node at once.
  double far_share = 1;
  // Each message's share when one rank sends to all others at once.
  double fan_share = 1;

  // The mean over the hops of a ring, in which one rank of a node sends to the next node.
  double ring_latency() const {
    return (near_latency * (ranks - nodes) + far_latency * nodes) / ranks;
  }
  double ring_bandwidth() const {
    return near_bandwidth < far_bandwidth ? near_bandwidth : far_bandwidth;
  }
};

// REQUIRES: at least two devices; those of a node follow each other.
Terrain survey(const Cluster& cluster, std::span<const DeviceId> devices);

}  // namespace soapbox
