#include "sim/cluster/cluster.h"

#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "sim/base/str.h"

namespace soapbox {

namespace {

Status check_vertices(const Topology& parts) {
  std::unordered_set<std::string_view> names;  // membership only
  for (const VertexId id : parts.vertices.ids()) {
    const Vertex& vertex = parts.vertices[id];
    if (vertex.name.empty()) return bad_input(str_cat("vertex ", id.value(), " has no name"));
    if (!names.insert(vertex.name).second) {
      return bad_input(str_cat("two vertices are named '", vertex.name, "'"));
    }
    if (vertex.node.valid() && vertex.node.index() >= parts.node_count) {
      return bad_input(str_cat("'", vertex.name, "' is in node ", vertex.node.value(),
                               "; allowed: 0 to ", parts.node_count - 1));
    }
  }
  return ok();
}

Status check_links(const Topology& parts) {
  for (const LinkId id : parts.links.ids()) {
    const Link& link = parts.links[id];
    if (!parts.vertices.contains(link.from) || !parts.vertices.contains(link.to)) {
      return bad_input(str_cat("link ", id.value(), " joins a vertex that does not exist"));
    }
    const std::string name =
        str_cat("link ", parts.vertices[link.from].name, " to ", parts.vertices[link.to].name);
    if (link.from == link.to) return bad_input(name + " leads back to where it starts");
    // Written so that NaN is refused.
    if (!(link.bandwidth >= Cluster::kMinBandwidth && link.bandwidth <= Cluster::kMaxBandwidth)) {
      return bad_input(str_cat(name, " has bandwidth ", link.bandwidth.rate(),
                               " bytes/s; allowed: 1 MB/s to 1e9 GB/s"));
    }
    if (link.latency < Duration() || link.latency > Cluster::kMaxLatency) {
      return bad_input(str_cat(name, " has latency ", link.latency.seconds(), " s; allowed: 0 to ",
                               Cluster::kMaxLatency.seconds(), " s"));
    }
  }
  return ok();
}

Status check_devices(const Topology& parts) {
  if (parts.devices.empty()) return bad_input("the cluster has no devices");
  std::vector<bool> used(parts.vertices.size());
  NodeId last_node(0);
  for (const DeviceId id : parts.devices.ids()) {
    const Device& device = parts.devices[id];
    if (!parts.vertices.contains(device.vertex)) {
      return bad_input(str_cat("device ", id.value(), " is at a vertex that does not exist"));
    }
    const Vertex& vertex = parts.vertices[device.vertex];
    if (vertex.kind != VertexKind::kDevice) {
      return bad_input(
          str_cat("device ", id.value(), " is at '", vertex.name, "', which is not a device"));
    }
    if (used[device.vertex.index()]) {
      return bad_input(str_cat("two devices are at '", vertex.name, "'"));
    }
    used[device.vertex.index()] = true;
    if (!device.node.valid() || device.node != vertex.node) {
      return bad_input(str_cat("device '", vertex.name, "' is not in the node of its vertex"));
    }
    if (device.node < last_node) {
      return bad_input(str_cat("device '", vertex.name, "' comes after those of a later node"));
    }
    last_node = device.node;
    if (!parts.hardware.contains(device.hardware)) {
      return bad_input(str_cat("device '", vertex.name, "' is of no known hardware"));
    }
    if (!(device.speed_factor >= Cluster::kMinSpeedFactor &&
          device.speed_factor <= Cluster::kMaxSpeedFactor)) {
      return bad_input(str_cat("device '", vertex.name, "' has speed factor ", device.speed_factor,
                               "; allowed: ", Cluster::kMinSpeedFactor, " to ",
                               Cluster::kMaxSpeedFactor));
    }
  }
  for (const VertexId id : parts.vertices.ids()) {
    if (parts.vertices[id].kind == VertexKind::kDevice && !used[id.index()]) {
      return bad_input(str_cat("'", parts.vertices[id].name, "' is not listed as a device"));
    }
  }
  return ok();
}

}  // namespace

Result<Cluster> Cluster::make(Parts parts) {
  for (const Status& status : {check_vertices(parts), check_links(parts), check_devices(parts)}) {
    if (!status) return status.error();
  }
  Result<Routes> routes = Routes::make(parts);
  if (!routes) return routes.error();
  return Cluster(std::move(parts), std::move(*routes));
}

Result<Cluster> Cluster::with_devices(size_t count) const {
  if (count == 0 || count > device_count()) {
    return bad_input(str_cat("cluster '", name(), "' has no ", count, " devices; allowed: 1 to ",
                             device_count()));
  }
  if (count == device_count()) return *this;
  return make(first_devices(parts_, count));
}

}  // namespace soapbox
