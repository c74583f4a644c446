// Routes against an oracle that lists every simple path, on random small topologies.
#include "sim/cluster/routes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "sim/base/str.h"
#include "sim/cluster/cluster.h"

namespace soapbox {
namespace {

struct Figures {
  uint64_t cost = std::numeric_limits<uint64_t>::max();
  double width = 0;
  bool better_than(const Figures& other) const {
    return cost != other.cost ? cost < other.cost : width > other.width;
  }
};

uint64_t relay_cost(VertexKind kind) {
  if (kind == VertexKind::kDevice) return 1'000'000;
  return kind == VertexKind::kHost ? 1'000 : 0;
}

// The rule of routes.h, literally: every simple path is tried.
class Oracle {
 public:
  explicit Oracle(const Topology& topology) : topology_(topology) {
    for (const Link& link : topology.links) {
      const bool cable = node(link.from).valid() && node(link.to).valid();
      if (cable && node(link.from) != node(link.to)) structured_ = false;
    }
    for (const DeviceId from : topology.devices.ids()) {
      for (const DeviceId to : topology.devices.ids()) {
        if (!best(from, to)) structured_ = false;
      }
    }
  }
  bool structured() const { return structured_; }

  std::optional<Figures> best(DeviceId from, DeviceId to) {
    if (from == to) return Figures{0, std::numeric_limits<double>::infinity()};
    best_.reset();
    visited_.assign(topology_.vertices.size(), false);
    path_ = {topology_.devices[from].vertex};
    visited_[path_[0].index()] = true;
    extend(topology_.devices[to].vertex, {0, std::numeric_limits<double>::infinity()});
    return best_;
  }

 private:
  NodeId node(VertexId id) const { return topology_.vertices[id].node; }

  // source's node, then fabric (at least one vertex), then the destination's node, each in one
  // piece.
  bool allowed_shape() const {
    if (!structured_) return true;
    const NodeId source = node(path_.front());
    const NodeId destination = node(path_.back());
    size_t i = 0;
    while (i < path_.size() && node(path_[i]) == source) ++i;
    if (source == destination) return i == path_.size();
    const size_t fabric_begin = i;
    while (i < path_.size() && !node(path_[i]).valid()) ++i;
    if (i == fabric_begin) return false;
    while (i < path_.size() && node(path_[i]) == destination) ++i;
    return i == path_.size();
  }

  void extend(VertexId target, Figures figures) {
    const VertexId here = path_.back();
    if (here == target) {
      if (allowed_shape() && (!best_ || figures.better_than(*best_))) best_ = figures;
      return;
    }
    const uint64_t relay =
        path_.size() > 1 ? relay_cost(topology_.vertices[here].kind) : uint64_t{0};
    for (const Link& link : topology_.links) {
      if (link.from != here || visited_[link.to.index()]) continue;
      visited_[link.to.index()] = true;
      path_.push_back(link.to);
      extend(target, {figures.cost + relay + 1, std::min(figures.width, link.bandwidth.rate())});
      path_.pop_back();
      visited_[link.to.index()] = false;
    }
  }

  const Topology& topology_;
  bool structured_ = true;
  std::vector<bool> visited_;
  std::vector<VertexId> path_;
  std::optional<Figures> best_;
};

// 1-3 nodes of 1-2 devices and up to 1 other vertex, up to 2 fabric vertices (at most 8 in all),
// links at random with few distinct bandwidths, so that ties are common.
Topology random_topology(Rng& rng) {
  Topology parts;
  parts.name = "random";
  parts.node_count = 1 + rng.below(3);
  const uint32_t most = parts.node_count == 3 ? 1 : 2;  // of each kind in a node
  parts.hardware.push_back(Hardware{.name = "any"});
  for (uint32_t n = 0; n < parts.node_count; ++n) {
    const uint32_t devices = 1 + rng.below(most);
    for (uint32_t d = 0; d < devices; ++d) {
      const VertexId vertex =
          parts.vertices.push_back({str_cat("node", n, ".gpu", d), VertexKind::kDevice, NodeId(n)});
      parts.devices.push_back({vertex, NodeId(n), HardwareId(0), 1.0});
    }
    const uint32_t others = rng.below(most);
    for (uint32_t o = 0; o < others; ++o) {
      const VertexKind kind = rng.below(2) == 0 ? VertexKind::kHost : VertexKind::kNic;
      parts.vertices.push_back({str_cat("node", n, ".other", o), kind, NodeId(n)});
    }
  }
  const uint32_t fabric = rng.below(3);
  for (uint32_t f = 0; f < fabric; ++f) {
    const VertexKind kind = rng.below(4) == 0 ? VertexKind::kHost : VertexKind::kSwitch;
    parts.vertices.push_back({str_cat("fabric", f), kind, NodeId()});
  }
  const bool cables_between_nodes = rng.below(3) == 0;
  const uint32_t density = 3 + rng.below(5);
  for (const VertexId a : parts.vertices.ids()) {
    for (const VertexId b : parts.vertices.ids()) {
      if (a >= b || rng.below(10) >= density) continue;
      const NodeId node_a = parts.vertices[a].node;
      const NodeId node_b = parts.vertices[b].node;
      const bool direct = node_a.valid() && node_b.valid() && node_a != node_b;
      if (direct && !cables_between_nodes) continue;
      for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
        parts.links.push_back({from, to, gb_per_s(1 + rng.below(3)),
                               microseconds(static_cast<int64_t>(rng.below(5))), "any"});
      }
    }
  }
  return parts;
}

// Checks that the route is a path and returns its figures, recomputed from its links.
Figures figures_of(const Topology& topology, DeviceId from, DeviceId to, const Route& route) {
  Figures figures{0, std::numeric_limits<double>::infinity()};
  VertexId here = topology.devices[from].vertex;
  LinkId bottleneck;
  Duration latency;
  size_t hops = 0;
  for (const LinkId id : route.links) {
    const Link& link = topology.links[id];
    EXPECT_EQ(link.from, here);
    figures.cost += 1 + (hops++ > 0 ? relay_cost(topology.vertices[here].kind) : 0);
    if (link.bandwidth.rate() < figures.width) {
      figures.width = link.bandwidth.rate();
      bottleneck = id;
    }
    latency += link.latency;
    here = link.to;
  }
  EXPECT_EQ(here, topology.devices[to].vertex);
  EXPECT_EQ(hops, route.links.size());
  EXPECT_EQ(latency, route.latency);
  EXPECT_EQ(bottleneck, route.bottleneck);
  if (hops > 0) {
    EXPECT_EQ(figures.width, route.bandwidth.rate());
  }
  return figures;
}

TEST(Routes, EqualTheBestOfAllSimplePathsOnRandomTopologies) {
  int joined = 0;
  int structured = 0;
  for (uint64_t seed = 0; seed < 6000; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng rng(seed);
    const Topology topology = random_topology(rng);
    Oracle oracle(topology);
    const Result<Routes> routes = Routes::make(topology);
    bool all_reachable = true;
    for (const DeviceId from : topology.devices.ids()) {
      for (const DeviceId to : topology.devices.ids()) {
        const std::optional<Figures> expected = oracle.best(from, to);
        if (!expected) all_reachable = false;
        if (!expected || !routes) continue;
        const Figures found = figures_of(topology, from, to, routes->find(from, to));
        EXPECT_EQ(found.cost, expected->cost) << from.value() << " to " << to.value();
        EXPECT_EQ(found.width, expected->width) << from.value() << " to " << to.value();
      }
    }
    EXPECT_EQ(routes.has_value(), all_reachable);
    joined += all_reachable ? 1 : 0;
    structured += all_reachable && oracle.structured() && topology.node_count > 1 ? 1 : 0;
  }
  EXPECT_GT(joined, 2000);  // the generator must not degenerate
  EXPECT_GT(structured, 400);
}

// Two nodes of one device, each with a link to two equal switches: 0 -> s0|s1 -> 1.
Topology two_switches(double first_gb_per_s, double second_gb_per_s) {
  Topology parts;
  parts.name = "two switches";
  parts.node_count = 2;
  parts.hardware.push_back(Hardware{.name = "any"});
  for (uint32_t n = 0; n < 2; ++n) {
    parts.vertices.push_back({str_cat("node", n, ".gpu0"), VertexKind::kDevice, NodeId(n)});
    parts.devices.push_back({VertexId(n), NodeId(n), HardwareId(0), 1.0});
  }
  parts.vertices.push_back({"s0", VertexKind::kSwitch, NodeId()});
  parts.vertices.push_back({"s1", VertexKind::kSwitch, NodeId()});
  for (const uint32_t s : {3u, 2u}) {  // the links of the larger id first
    const BytesPerSecond rate = gb_per_s(s == 2 ? first_gb_per_s : second_gb_per_s);
    for (const uint32_t n : {0u, 1u}) {
      parts.links.push_back({VertexId(n), VertexId(s), rate, microseconds(1), "any"});
      parts.links.push_back({VertexId(s), VertexId(n), rate, microseconds(1), "any"});
    }
  }
  return parts;
}

TEST(Routes, TieGoesToTheSmallestVertexIdAndWidthBeatsIt) {
  const auto switch_used = [](double first, double second) {
    const Topology topology = two_switches(first, second);
    const Routes routes = *Routes::make(topology);
    return topology.links[routes.find(DeviceId(0), DeviceId(1)).links[0]].to;
  };
  EXPECT_EQ(switch_used(10, 10), VertexId(2));
  EXPECT_EQ(switch_used(10, 11), VertexId(3));
  EXPECT_EQ(switch_used(11, 10), VertexId(2));
}

TEST(Routes, FromADeviceToItselfIsEmpty) {
  const Routes routes = *Routes::make(two_switches(10, 10));
  const Route route = routes.find(DeviceId(1), DeviceId(1));
  EXPECT_TRUE(route.links.empty());
  EXPECT_FALSE(route.bottleneck.valid());
  EXPECT_EQ(route.latency, Duration());
}

// A ring of devices cabled directly, as in a torus: nothing but devices can relay.
TEST(Routes, DevicesRelayWhereNothingElseJoinsThem) {
  constexpr uint32_t kCount = 8;
  Topology parts;
  parts.node_count = kCount;
  parts.hardware.push_back(Hardware{.name = "any"});
  for (uint32_t n = 0; n < kCount; ++n) {
    parts.vertices.push_back({str_cat("node", n, ".gpu0"), VertexKind::kDevice, NodeId(n)});
    parts.devices.push_back({VertexId(n), NodeId(n), HardwareId(0), 1.0});
  }
  for (uint32_t n = 0; n < kCount; ++n) {
    const VertexId next((n + 1) % kCount);
    parts.links.push_back({VertexId(n), next, gb_per_s(50), microseconds(1), "ici"});
    parts.links.push_back({next, VertexId(n), gb_per_s(50), microseconds(1), "ici"});
  }
  const Routes routes = *Routes::make(parts);
  for (uint32_t a = 0; a < kCount; ++a) {
    for (uint32_t b = 0; b < kCount; ++b) {
      const uint32_t around = (b + kCount - a) % kCount;  // hops in ring order
      EXPECT_EQ(routes.find(DeviceId(a), DeviceId(b)).links.size(),
                std::min(around, kCount - around));
    }
  }
}

}  // namespace
}  // namespace soapbox
