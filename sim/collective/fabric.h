// A cluster in the figures that the collective of a process group depends on: what the first m
// ranks of a node can exchange, what leaves a node, and how far nodes are apart.
//
// Nodes are taken as alike: the slowest, by what its devices and its NICs can send, stands for all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cluster/cluster.h"

namespace soapbox {

// Bandwidths in bytes per second and direction, latencies in seconds.
struct Fabric {
  int64_t devices_per_node = 1;
  int64_t node_count = 1;
  std::string near_type;  // of the links inside a node and between nodes, e.g. "nvlink"
  std::string far_type;
  double near_latency = 0;  // of the route between the first two devices of a node
  double near_pair = 0;     // its bandwidth
  // By m: what each of the first m devices can send while all do, to a neighbour in a ring (over
  // every direct link that joins them, or along their routes) and to all others.
  std::vector<double> near_ring;
  std::vector<double> near_exchange;
  // By m: what the first m devices of a node can send to another one, over the NICs on their
  // routes.
  std::vector<double> far_bandwidth;
  // By the distance between nodes: the largest latency of a route up to there.
  std::vector<double> far_latency;
  // By log2 of the distance: the share of its NIC that a device has when every node sends that far.
  std::vector<double> far_share;
};

// O(devices^2) in a node, O(nodes log nodes) among them.
Fabric survey_fabric(const Cluster& cluster);

}  // namespace soapbox
