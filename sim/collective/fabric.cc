#include "sim/collective/fabric.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace soapbox {

namespace {

// How many routes use each link, and what each of them gets by the worst link.
class LinkLoads {
 public:
  explicit LinkLoads(const Cluster& cluster)
      : cluster_(cluster), users_(cluster.links().size(), 0) {}

  void add(DeviceId from, DeviceId to) {
    for (const LinkId link : cluster_.route(from, to).links) {
      if (users_[link]++ == 0) used_.push_back(link);
      worst_ = std::max(worst_, users_[link] / cluster_.links()[link].bandwidth.rate());
    }
  }
  double share() const { return worst_ > 0 ? 1 / worst_ : 0; }
  void clear() {
    for (const LinkId link : used_) users_[link] = 0;
    used_.clear();
    worst_ = 0;
  }

 private:
  const Cluster& cluster_;
  IdVector<LinkId, uint32_t> users_;
  std::vector<LinkId> used_;
  double worst_ = 0;  // seconds per byte
};

using Devices = std::vector<DeviceId>;

std::vector<Devices> devices_by_node(const Cluster& cluster) {
  std::vector<Devices> nodes(cluster.node_count());
  for (const DeviceId device : cluster.devices().ids()) {
    nodes[cluster.device(device).node.index()].push_back(device);
  }
  std::erase_if(nodes, [](const Devices& node) { return node.empty(); });
  return nodes;
}

// Of the nodes with as many devices as the first, the one whose devices and exits send least.
size_t slowest_node(const Cluster& cluster, const std::vector<Devices>& nodes) {
  std::vector<double> rates(cluster.node_count(), 0);
  for (const Link& link : cluster.links()) {
    const Vertex& from = cluster.vertices()[link.from];
    if (!from.node.valid()) continue;
    const bool exit = cluster.vertices()[link.to].node != from.node;
    if (exit || from.kind == VertexKind::kDevice) {
      rates[from.node.index()] += link.bandwidth.rate();
    }
  }
  const auto rate_of = [&](size_t node) {
    return rates[cluster.device(nodes[node][0]).node.index()];
  };
  size_t slowest = 0;
  for (size_t node = 1; node < nodes.size(); ++node) {
    if (nodes[node].size() == nodes[0].size() && rate_of(node) < rate_of(slowest)) slowest = node;
  }
  return slowest;
}

// By m: the least, over the first m devices, of what direct links to others of them carry: the
// bandwidth of as many rings as there are links. Zero where such links do not join all m.
std::vector<double> direct_ring_bandwidths(const Cluster& cluster, const Devices& devices) {
  std::vector<double> rates(devices.size() + 1, 0);
  std::vector<double> degree(devices.size(), 0);
  std::vector<size_t> group(devices.size());
  std::iota(group.begin(), group.end(), size_t{0});
  for (size_t m = 1; m < devices.size(); ++m) {
    for (size_t i = 0; i < m; ++i) {
      const Route route = cluster.route(devices[i], devices[m]);
      if (route.links.size() != 1) continue;
      degree[i] += route.bandwidth.rate();
      degree[m] += route.bandwidth.rate();
      const size_t old = group[i];
      std::replace(group.begin(), group.end(), old, size_t{group[m]});
    }
    const bool joined = std::all_of(group.begin(), group.begin() + static_cast<ptrdiff_t>(m) + 1,
                                    [&](size_t other) { return other == group[0]; });
    if (!joined) continue;
    rates[m + 1] =
        *std::min_element(degree.begin(), degree.begin() + static_cast<ptrdiff_t>(m) + 1);
  }
  return rates;
}

void survey_node(const Cluster& cluster, const Devices& devices, Fabric& fabric) {
  fabric.near_ring = direct_ring_bandwidths(cluster, devices);
  fabric.near_exchange.assign(devices.size() + 1, 0);
  if (devices.size() < 2) return;
  const Route first = cluster.route(devices[0], devices[1]);
  fabric.near_type = cluster.links()[first.bottleneck].type;
  fabric.near_latency = first.latency.seconds();
  fabric.near_pair = first.bandwidth.rate();
  LinkLoads ring(cluster);
  LinkLoads exchange(cluster);
  for (size_t m = 2; m <= devices.size(); ++m) {
    ring.clear();
    for (size_t i = 0; i < m; ++i) ring.add(devices[i], devices[(i + 1) % m]);
    fabric.near_ring[m] = std::max(fabric.near_ring[m], ring.share());
    for (size_t i = 0; i + 1 < m; ++i) {
      exchange.add(devices[i], devices[m - 1]);
      exchange.add(devices[m - 1], devices[i]);
    }
    fabric.near_exchange[m] = exchange.share() * static_cast<double>(m - 1);
  }
}

// The first link of a route that leaves the node, and what the route carries up to there: the way
// into the other node is not this node's limit.
struct Exit {
  LinkId link;
  double bandwidth = 0;
};
Exit exit_of(const Cluster& cluster, const Route& route, NodeId node) {
  double bandwidth = std::numeric_limits<double>::infinity();
  for (const LinkId link : route.links) {
    bandwidth = std::min(bandwidth, cluster.links()[link].bandwidth.rate());
    if (cluster.vertices()[cluster.links()[link].to].node != node) return {link, bandwidth};
  }
  return {};
}

// All links of one type that leave the node.
double total_exits(const Cluster& cluster, NodeId node, const std::string& type) {
  double total = 0;
  for (const Link& link : cluster.links()) {
    if (cluster.vertices()[link.from].node != node || link.type != type) continue;
    if (cluster.vertices()[link.to].node != node) total += link.bandwidth.rate();
  }
  return total;
}

// A library spreads its channels over the NICs of the node: m ranks have the NICs on their routes,
// or their share of all where those are fewer.
void survey_exits(const Cluster& cluster, const Devices& devices, DeviceId elsewhere,
                  Fabric& fabric) {
  const NodeId node = cluster.device(devices[0]).node;
  std::vector<Exit> exits;
  double total = 0;
  double all = 0;
  for (const DeviceId device : devices) {
    const Exit exit = exit_of(cluster, cluster.route(device, elsewhere), node);
    if (exits.empty()) {
      fabric.far_type = cluster.links()[exit.link].type;
      all = total_exits(cluster, node, fabric.far_type);
    }
    const auto known = std::find_if(exits.begin(), exits.end(),
                                    [&](const Exit& other) { return other.link == exit.link; });
    if (known == exits.end()) {
      exits.push_back(exit);
      total += exit.bandwidth;
    }
    const double share =
        static_cast<double>(fabric.far_bandwidth.size()) / static_cast<double>(devices.size());
    fabric.far_bandwidth.push_back(std::max(total, all * share));
  }
}

}  // namespace

Fabric survey_fabric(const Cluster& cluster) {
  const std::vector<Devices> nodes = devices_by_node(cluster);
  const size_t slowest = slowest_node(cluster, nodes);
  const Devices& devices = nodes[slowest];
  Fabric fabric;
  fabric.devices_per_node = static_cast<int64_t>(devices.size());
  fabric.node_count = static_cast<int64_t>(nodes.size());
  survey_node(cluster, devices, fabric);
  fabric.far_bandwidth = {0};
  fabric.far_latency = {0};
  if (nodes.size() < 2) return fabric;
  survey_exits(cluster, devices, nodes[slowest == 0 ? 1 : 0][0], fabric);
  double farthest = 0;
  for (size_t node = 1; node < nodes.size(); ++node) {
    farthest = std::max(farthest, cluster.route(nodes[0][0], nodes[node][0]).latency.seconds());
    fabric.far_latency.push_back(farthest);
  }
  LinkLoads loads(cluster);
  for (size_t distance = 1; distance < nodes.size(); distance *= 2) {
    loads.clear();
    for (size_t node = 0; node < nodes.size(); ++node) {
      loads.add(nodes[node][0], nodes[(node + distance) % nodes.size()][0]);
    }
    fabric.far_share.push_back(std::min(1.0, loads.share() / fabric.far_bandwidth[1]));
  }
  return fabric;
}

}  // namespace soapbox
