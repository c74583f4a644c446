#include "sim/cluster/topology.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "sim/base/check.h"

namespace soapbox {

namespace {

// Marks what first_devices() keeps: the devices, the rest of their nodes, and the fabric except for
// switches that, once the other nodes are gone, lead nowhere.
std::vector<bool> kept_vertices(const Topology& parts, size_t device_count) {
  std::vector<bool> keep(parts.vertices.size());
  const NodeId last = parts.devices[DeviceId::from_index(device_count - 1)].node;
  for (const VertexId id : parts.vertices.ids()) {
    const Vertex& vertex = parts.vertices[id];
    keep[id.index()] =
        vertex.kind != VertexKind::kDevice && (!vertex.node.valid() || vertex.node <= last);
  }
  for (const DeviceId id : id_range<DeviceId>(device_count)) {
    keep[parts.devices[id].vertex.index()] = true;
  }

  std::vector<std::vector<VertexId>> neighbours(parts.vertices.size());
  for (const Link& link : parts.links) {
    if (!keep[link.from.index()] || !keep[link.to.index()]) continue;
    neighbours[link.from.index()].push_back(link.to);
    neighbours[link.to.index()].push_back(link.from);
  }
  std::vector<VertexId> stubs;
  const auto is_stub = [&](VertexId id) {
    if (!keep[id.index()] || parts.vertices[id].node.valid()) return false;
    std::optional<VertexId> only;
    for (const VertexId other : neighbours[id.index()]) {
      if (!keep[other.index()] || only == other) continue;
      if (only) return false;
      only = other;
    }
    return true;
  };
  for (const VertexId id : parts.vertices.ids()) {
    if (is_stub(id)) stubs.push_back(id);
  }
  while (!stubs.empty()) {
    const VertexId id = stubs.back();
    stubs.pop_back();
    keep[id.index()] = false;
    for (const VertexId other : neighbours[id.index()]) {
      if (is_stub(other) && std::find(stubs.begin(), stubs.end(), other) == stubs.end()) {
        stubs.push_back(other);
      }
    }
  }
  return keep;
}

}  // namespace

Topology first_devices(const Topology& topology, size_t count) {
  SOAPBOX_CHECK(count >= 1 && count <= topology.devices.size(), "device count out of range");
  const std::vector<bool> keep = kept_vertices(topology, count);
  Topology parts;
  parts.name = topology.name;
  parts.hardware = topology.hardware;
  std::vector<VertexId> new_ids(topology.vertices.size());
  for (const VertexId id : topology.vertices.ids()) {
    if (keep[id.index()]) new_ids[id.index()] = parts.vertices.push_back(topology.vertices[id]);
  }
  for (const Link& link : topology.links) {
    if (!keep[link.from.index()] || !keep[link.to.index()]) continue;
    Link& kept = parts.links[parts.links.push_back(link)];
    kept.from = new_ids[link.from.index()];
    kept.to = new_ids[link.to.index()];
  }
  for (const DeviceId id : id_range<DeviceId>(count)) {
    Device& kept = parts.devices[parts.devices.push_back(topology.devices[id])];
    kept.vertex = new_ids[kept.vertex.index()];
  }
  parts.node_count = parts.devices.back().node.index() + 1;
  return parts;
}

}  // namespace soapbox
