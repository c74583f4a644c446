#include "sim/cluster/routes.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "sim/base/str.h"
#include "sim/cluster/path_search.h"

namespace soapbox {

namespace {

// One device passed through outweighs any number of hosts, one host any number of hops.
uint64_t relay_cost(VertexKind kind) {
  switch (kind) {
    case VertexKind::kDevice:
      return uint64_t{1} << 40;
    case VertexKind::kHost:
      return uint64_t{1} << 20;
    case VertexKind::kSwitch:
    case VertexKind::kNic:
      return 0;
  }
  return 0;
}

constexpr uint32_t kFabric = std::numeric_limits<uint32_t>::max();

// A link between a node and the fabric: `inner` is its end in the node.
struct BorderLink {
  SearchLink link;
  uint32_t inner = 0;
  uint32_t port = 0;
};

// What a node is made of, in numbers that do not depend on where in the topology it lies.
struct RegionParts {
  uint32_t first_link = 0;
  std::vector<VertexKind> kinds;
  std::vector<uint32_t> devices;  // local vertex of each device
  std::vector<SearchLink> inside;
  std::vector<BorderLink> exits;
  std::vector<BorderLink> entries;

  // Equal keys: the same build.
  std::vector<uint64_t> key() const {
    std::vector<uint64_t> words = {kinds.size(), devices.size(), inside.size(), exits.size()};
    for (const VertexKind kind : kinds) words.push_back(static_cast<uint64_t>(kind));
    words.insert(words.end(), devices.begin(), devices.end());
    const auto add = [&](const SearchLink& link, uint32_t from, uint32_t to) {
      words.insert(words.end(), {from, to, link.id, std::bit_cast<uint64_t>(link.width),
                                 static_cast<uint64_t>(link.latency.picoseconds())});
    };
    for (const SearchLink& link : inside) add(link, link.from, link.to);
    for (const BorderLink& exit : exits) add(exit.link, exit.inner, 0);
    for (const BorderLink& entry : entries) add(entry.link, 0, entry.inner);
    return words;
  }
};

// Where the segments of a build begin: devices^2 inside, devices x exits, entries x devices.
struct Build {
  size_t inside = 0;
  size_t exits = 0;
  size_t entries = 0;
};

SearchLink search_link(const Topology& topology, LinkId id) {
  const Link& link = topology.links[id];
  return {link.from.value(), link.to.value(), id.value(), link.bandwidth.rate(), link.latency};
}

}  // namespace

class RouteBuilder {
 public:
  RouteBuilder(const Topology& topology, bool by_node) : topology_(topology), by_node_(by_node) {}

  // False where the pieces do not join all devices. Then unreachable() names a pair.
  bool build() {
    if (!split()) return false;
    connect_ports();
    for (const RegionParts& parts : regions_) add_region(parts);
    choose_doors();
    return all_joined();
  }
  Routes take() { return std::move(routes_); }
  std::pair<DeviceId, DeviceId> unreachable() const { return unreachable_; }

 private:
  using Segment = Routes::Segment;

  // Deals vertices and links out to nodes and fabric. False if a link joins two nodes directly.
  bool split() {
    regions_.resize(by_node_ ? topology_.node_count : 1);
    region_of_.resize(topology_.vertices.size());
    local_of_.resize(topology_.vertices.size());
    for (const VertexId id : topology_.vertices.ids()) {
      const Vertex& vertex = topology_.vertices[id];
      const bool fabric = by_node_ && !vertex.node.valid();
      const uint32_t region = fabric ? kFabric : by_node_ ? vertex.node.value() : 0;
      std::vector<VertexKind>& kinds = fabric ? fabric_kinds_ : regions_[region].kinds;
      region_of_[id.index()] = region;
      local_of_[id.index()] = static_cast<uint32_t>(kinds.size());
      kinds.push_back(vertex.kind);
    }
    for (const DeviceId id : topology_.devices.ids()) {
      const size_t vertex = topology_.devices[id].vertex.index();
      RegionParts& region = regions_[region_of_[vertex]];
      routes_.places_.push_back({region_of_[vertex], static_cast<uint32_t>(region.devices.size())});
      region.devices.push_back(local_of_[vertex]);
    }
    return split_links();
  }

  bool split_links() {
    for (RegionParts& region : regions_) region.first_link = kFabric;
    port_of_.assign(fabric_kinds_.size(), kFabric);
    for (const LinkId id : topology_.links.ids()) {
      SearchLink link = search_link(topology_, id);
      const uint32_t from = region_of_[link.from];
      const uint32_t to = region_of_[link.to];
      link.from = local_of_[link.from];
      link.to = local_of_[link.to];
      if (from == kFabric && to == kFabric) {
        fabric_links_.push_back(link);
        continue;
      }
      if (from != to && from != kFabric && to != kFabric) return false;
      RegionParts& region = regions_[from == kFabric ? to : from];
      region.first_link = std::min(region.first_link, link.id);
      link.id -= region.first_link;
      if (from == to) {
        region.inside.push_back(link);
      } else if (to == kFabric) {
        region.exits.push_back({link, link.from, port(link.to)});
      } else {
        region.entries.push_back({link, link.to, port(link.from)});
      }
    }
    return true;
  }

  uint32_t port(uint32_t fabric_vertex) {
    uint32_t& port = port_of_[fabric_vertex];
    if (port == kFabric) {
      port = static_cast<uint32_t>(ports_.size());
      ports_.push_back(fabric_vertex);
    }
    return port;
  }

  // Keeps the links of `path` and what is needed to compare it. `cost`: of its links and relays.
  Segment store(const std::vector<SearchLink>& path, uint64_t cost) {
    Segment segment;
    segment.reachable = true;
    segment.cost = cost;
    segment.width = std::numeric_limits<double>::infinity();
    segment.begin = static_cast<uint32_t>(routes_.relative_links_.size());
    segment.count = static_cast<uint32_t>(path.size());
    for (const SearchLink& link : path) {
      routes_.relative_links_.push_back(link.id);
      segment.latency += link.latency;
      if (link.width < segment.width) {
        segment.width = link.width;
        segment.bottleneck = link.id;
      }
    }
    return segment;
  }

  // Between every two ports. Both are passed through, so both count as relays.
  void connect_ports() {
    std::vector<uint64_t> relay;
    for (const VertexKind kind : fabric_kinds_) relay.push_back(relay_cost(kind));
    const size_t count = ports_.size();
    routes_.port_count_ = count;
    routes_.through_fabric_.resize(count * count);
    PathSearch search(relay, fabric_links_);
    std::vector<SearchLink> path;
    for (size_t from = 0; from < count; ++from) {
      search.run(ports_[from]);
      for (size_t to = 0; to < count; ++to) {
        const uint32_t target = ports_[to];
        if (!search.reaches(target)) continue;
        path.clear();
        search.append_path(target, path);
        const uint64_t ends = from == to ? relay[target] : relay[ports_[from]] + relay[target];
        routes_.through_fabric_[from * count + to] = store(path, search.cost(target) + ends);
      }
    }
  }

  void add_region(const RegionParts& parts) {
    const auto [entry, is_new] = builds_.try_emplace(parts.key());
    if (is_new) entry->second = search_region(parts);
    region_builds_.push_back(entry->second);
    routes_.regions_.push_back(
        {parts.first_link, static_cast<uint32_t>(parts.devices.size()), entry->second.inside});
  }

  Build search_region(const RegionParts& parts) {
    std::vector<uint64_t> relay;
    for (const VertexKind kind : parts.kinds) relay.push_back(relay_cost(kind));
    const size_t devices = parts.devices.size();
    Build build;
    build.inside = routes_.segments_.size();
    build.exits = build.inside + devices * devices;
    build.entries = build.exits + devices * parts.exits.size();
    std::vector<Segment> segments(devices * (devices + parts.exits.size() + parts.entries.size()));
    size_t next_inside = 0;
    size_t next_exit = build.exits - build.inside;
    size_t next_entry = build.entries - build.inside;

    PathSearch search(relay, parts.inside);
    std::vector<SearchLink> path;
    for (const uint32_t device : parts.devices) {
      search.run(device);
      for (const uint32_t other : parts.devices) {
        Segment& segment = segments[next_inside++];
        if (!search.reaches(other)) continue;
        path.clear();
        search.append_path(other, path);
        segment = store(path, search.cost(other));
      }
      for (const BorderLink& exit : parts.exits) {
        Segment& segment = segments[next_exit++];
        if (!search.reaches(exit.inner)) continue;
        path.clear();
        search.append_path(exit.inner, path);
        path.push_back(exit.link);
        segment = store(
            path, search.cost(exit.inner) + 1 + (exit.inner == device ? 0 : relay[exit.inner]));
      }
    }
    for (const BorderLink& entry : parts.entries) {
      search.run(entry.inner);
      for (const uint32_t device : parts.devices) {
        Segment& segment = segments[next_entry++];
        if (!search.reaches(device)) continue;
        path.assign(1, entry.link);
        search.append_path(device, path);
        segment =
            store(path, search.cost(device) + 1 + (entry.inner == device ? 0 : relay[entry.inner]));
      }
    }
    routes_.segments_.insert(routes_.segments_.end(), segments.begin(), segments.end());
    return build;
  }

  // The doors of each device, in the order of their ports.
  void choose_doors() {
    for (const DeviceId device : topology_.devices.ids()) {
      const Routes::Place place = routes_.places_[device];
      const RegionParts& parts = regions_[place.region];
      const Build& build = region_builds_[place.region];
      std::vector<Routes::Door> doors;
      for (size_t i = 0; i < parts.exits.size(); ++i) {
        doors.push_back({parts.exits[i].port, build.exits + place.local * parts.exits.size() + i});
      }
      routes_.exits_.push_back(keep_best(doors, true));
      doors.clear();
      for (size_t i = 0; i < parts.entries.size(); ++i) {
        doors.push_back(
            {parts.entries[i].port, build.entries + i * parts.devices.size() + place.local});
      }
      routes_.entries_.push_back(keep_best(doors, false));
    }
  }

  // Drops a door if going through another one and then the fabric to its port costs less: no best
  // path uses it. What remains is usually one door, which is what makes a look-up quick.
  Routes::DoorRange keep_best(std::vector<Routes::Door> doors, bool leaving) {
    std::erase_if(doors, [&](const Routes::Door& door) {
      return !routes_.segments_[door.segment].reachable;
    });
    std::stable_sort(doors.begin(), doors.end(),
                     [&](const auto& a, const auto& b) { return ports_[a.port] < ports_[b.port]; });
    Routes::DoorRange range{routes_.doors_.size(), 0};
    for (const Routes::Door& door : doors) {
      const bool beaten = std::any_of(doors.begin(), doors.end(), [&](const Routes::Door& other) {
        const size_t from = leaving ? other.port : door.port;
        const size_t to = leaving ? door.port : other.port;
        const Segment& between = routes_.through_fabric_[from * routes_.port_count_ + to];
        return between.reachable && routes_.segments_[other.segment].cost + between.cost <
                                        routes_.segments_[door.segment].cost;
      });
      if (!beaten) routes_.doors_.push_back(door);
    }
    range.end = routes_.doors_.size();
    return range;
  }

  bool all_joined() {
    for (const Routes::Region& region : routes_.regions_) {
      const size_t pairs = size_t{region.device_count} * region.device_count;
      for (size_t pair = 0; pair < pairs; ++pair) {
        if (routes_.segments_[region.first_segment + pair].reachable) continue;
        unreachable_ = {device_at(region, pair / region.device_count),
                        device_at(region, pair % region.device_count)};
        return false;
      }
    }
    return routes_.regions_.size() < 2 || nodes_joined();
  }

  DeviceId device_at(const Routes::Region& region, size_t local) const {
    const size_t index = static_cast<size_t>(&region - routes_.regions_.data());
    for (const DeviceId device : topology_.devices.ids()) {
      const Routes::Place place = routes_.places_[device];
      if (place.region == index && place.local == local) return device;
    }
    return DeviceId();
  }

  // Devices with doors to the same ports are joined to the same devices: each set of ports is tried
  // once.
  bool nodes_joined() {
    const auto port_sets = [&](const IdVector<DeviceId, Routes::DoorRange>& ranges) {
      std::set<std::vector<uint32_t>> found;
      for (const DeviceId device : ranges.ids()) {
        std::vector<uint32_t> ports;
        for (size_t i = ranges[device].begin; i < ranges[device].end; ++i) {
          ports.push_back(routes_.doors_[i].port);
        }
        found.insert(std::move(ports));
      }
      return found;
    };
    const auto exits = port_sets(routes_.exits_);
    const auto entries = port_sets(routes_.entries_);
    for (const std::vector<uint32_t>& exit_ports : exits) {
      for (const std::vector<uint32_t>& entry_ports : entries) {
        const bool joined = std::any_of(exit_ports.begin(), exit_ports.end(), [&](uint32_t out) {
          return std::any_of(entry_ports.begin(), entry_ports.end(), [&](uint32_t in) {
            return routes_.through_fabric_[out * routes_.port_count_ + in].reachable;
          });
        });
        if (!joined) return false;
      }
    }
    return true;
  }

  const Topology& topology_;
  bool by_node_;
  Routes routes_;
  std::vector<RegionParts> regions_;
  std::vector<uint32_t> region_of_;  // by vertex
  std::vector<uint32_t> local_of_;   // by vertex: its number in its region
  std::vector<VertexKind> fabric_kinds_;
  std::vector<SearchLink> fabric_links_;
  std::vector<uint32_t> port_of_;  // by fabric vertex
  std::vector<uint32_t> ports_;    // fabric vertex of each port
  std::map<std::vector<uint64_t>, Build> builds_;
  std::vector<Build> region_builds_;
  std::pair<DeviceId, DeviceId> unreachable_;
};

Result<Routes> Routes::make(const Topology& topology) {
  RouteBuilder by_node(topology, true);
  if (by_node.build()) return by_node.take();
  RouteBuilder whole(topology, false);
  if (whole.build()) return whole.take();
  const auto [from, to] = whole.unreachable();
  const auto name = [&](DeviceId id) {
    return topology.vertices[topology.devices[id].vertex].name;
  };
  return bad_input(str_cat("no links lead from ", name(from), " to ", name(to),
                           "; every device must reach every other"));
}

Route Routes::find(DeviceId from, DeviceId to) const {
  Route route;
  if (from == to) return route;
  const auto append = [&](size_t piece, const Segment& segment, uint32_t first_link) {
    route.links.pieces_[piece] = piece_of(segment, first_link);
    route.latency += segment.latency;
    if (segment.count == 0) return;
    if (route.bottleneck.valid() && segment.width >= route.bandwidth.rate()) return;
    route.bottleneck = LinkId(segment.bottleneck + first_link);
    route.bandwidth = BytesPerSecond(segment.width);
  };
  const Place source = places_[from];
  const Place destination = places_[to];
  const Region& source_region = regions_[source.region];
  if (source.region == destination.region) {
    const size_t pair = size_t{source.local} * source_region.device_count + destination.local;
    append(0, segments_[source_region.first_segment + pair], source_region.first_link);
    return route;
  }
  const Segment* best[3] = {};
  uint64_t best_cost = std::numeric_limits<uint64_t>::max();
  double best_width = 0;
  for (size_t i = exits_[from].begin; i < exits_[from].end; ++i) {
    const Segment& out = segments_[doors_[i].segment];
    for (size_t j = entries_[to].begin; j < entries_[to].end; ++j) {
      const Segment& through = through_fabric_[doors_[i].port * port_count_ + doors_[j].port];
      const Segment& in = segments_[doors_[j].segment];
      if (!through.reachable) continue;
      const uint64_t cost = out.cost + through.cost + in.cost;
      const double width = std::min({out.width, through.width, in.width});
      if (cost > best_cost || (cost == best_cost && width <= best_width)) continue;
      best_cost = cost;
      best_width = width;
      best[0] = &out;
      best[1] = &through;
      best[2] = &in;
    }
  }
  append(0, *best[0], source_region.first_link);
  append(1, *best[1], 0);
  append(2, *best[2], regions_[destination.region].first_link);
  return route;
}

}  // namespace soapbox
