#include "sim/collective/terrain.h"

#include <algorithm>
#include <vector>

namespace soapbox {

namespace {

// What each route from[i] to to[i] gets when all are used at once, by the worst link. The shorter
// list repeats.
double shared_bandwidth(const Cluster& cluster, std::span<const DeviceId> from,
                        std::span<const DeviceId> to) {
  std::vector<double> users(cluster.links().size());
  double worst = 0;
  for (size_t i = 0; i < std::max(from.size(), to.size()); ++i) {
    for (const LinkId link : cluster.route(from[i % from.size()], to[i % to.size()]).links) {
      users[link.index()] += 1;
      worst = std::max(worst, users[link.index()] / cluster.links()[link].bandwidth.rate());
    }
  }
  return worst > 0 ? 1 / worst : 1;
}

}  // namespace

Terrain survey(const Cluster& cluster, std::span<const DeviceId> devices) {
  const auto node_of = [&](DeviceId device) { return cluster.device(device).node; };
  const auto first_elsewhere = std::find_if(devices.begin(), devices.end(), [&](DeviceId device) {
    return node_of(device) != node_of(devices[0]);
  });
  const auto first_node = static_cast<size_t>(first_elsewhere - devices.begin());
  Terrain terrain;
  terrain.ranks = static_cast<double>(devices.size());
  terrain.ranks_per_node = static_cast<double>(first_node);
  for (size_t i = 1; i < devices.size(); ++i) {
    if (node_of(devices[i]) != node_of(devices[i - 1])) terrain.nodes += 1;
  }
  terrain.fan_share = shared_bandwidth(cluster, devices.first(1), devices.subspan(1));
  if (first_node > 1) {
    const Route near = cluster.route(devices[0], devices[1]);
    terrain.near_latency = near.latency.seconds();
    terrain.near_bandwidth = near.bandwidth.rate();
  }
  if (first_elsewhere == devices.end()) {
    terrain.far_latency = terrain.near_latency;
    terrain.far_bandwidth = terrain.far_share = terrain.near_bandwidth;
    return terrain;
  }
  // The farthest node: neighbours are at most as far.
  const Route far = cluster.route(devices[first_node - 1], devices.back());
  terrain.far_latency = far.latency.seconds();
  terrain.far_bandwidth = far.bandwidth.rate();
  const size_t second_node = std::min(first_node, devices.size() - first_node);
  terrain.far_share = shared_bandwidth(cluster, devices.first(first_node),
                                       devices.subspan(first_node, second_node));
  if (first_node == 1) {
    terrain.near_latency = terrain.far_latency;
    terrain.near_bandwidth = terrain.far_bandwidth;
  }
  return terrain;
}

}  // namespace soapbox
