// Small clusters whose collective times have closed forms.
#pragma once

#include <string>
#include <vector>

#include "sim/base/str.h"
#include "sim/cluster/cluster.h"

namespace soapbox {

struct CableSpec {
  double gb_per_s = 1;
  Duration latency;
};

class ClusterBuilder {
 public:
  ClusterBuilder() { parts_.hardware.push_back(Hardware{}); }

  VertexId add_device(uint32_t node) {
    const VertexId id = parts_.vertices.push_back(
        {str_cat("gpu", parts_.devices.size()), VertexKind::kDevice, NodeId(node)});
    parts_.devices.push_back({id, NodeId(node), HardwareId(0), 1.0});
    parts_.node_count = node + 1;
    return id;
  }
  VertexId add_switch(const std::string& name, NodeId node = NodeId()) {
    return parts_.vertices.push_back({name, VertexKind::kSwitch, node});
  }
  void add_link(VertexId from, VertexId to, const CableSpec& cable) {
    parts_.links.push_back({from, to, gb_per_s(cable.gb_per_s), cable.latency, "cable"});
  }
  void add_cable(VertexId a, VertexId b, const CableSpec& cable) {
    add_link(a, b, cable);
    add_link(b, a, cable);
  }
  Cluster make() {
    parts_.name = "test";
    return Cluster::make(parts_).value();
  }

 private:
  Topology parts_;
};

// One node in which each two devices have a duplex cable.
inline Cluster full_mesh(uint32_t count, const CableSpec& cable) {
  ClusterBuilder builder;
  std::vector<VertexId> devices;
  for (uint32_t i = 0; i < count; ++i) devices.push_back(builder.add_device(0));
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t j = 0; j < i; ++j) builder.add_cable(devices[i], devices[j], cable);
  }
  return builder.make();
}

// One node in which every device has one duplex cable, to a switch. A route has twice its latency.
inline Cluster star(uint32_t count, const CableSpec& cable) {
  ClusterBuilder builder;
  const VertexId hub = builder.add_switch("hub", NodeId(0));
  for (uint32_t i = 0; i < count; ++i) builder.add_cable(builder.add_device(0), hub, cable);
  return builder.make();
}

// Nodes of devices on a switch each; the switch has one duplex cable to the network.
inline Cluster nodes_with_one_nic(uint32_t nodes, uint32_t devices_per_node,
                                  const CableSpec& inside, const CableSpec& nic) {
  ClusterBuilder builder;
  const VertexId network = builder.add_switch("network");
  for (uint32_t node = 0; node < nodes; ++node) {
    const VertexId hub = builder.add_switch(str_cat("node", node, ".hub"), NodeId(node));
    for (uint32_t i = 0; i < devices_per_node; ++i) {
      builder.add_cable(builder.add_device(node), hub, inside);
    }
    builder.add_cable(hub, network, nic);
  }
  return builder.make();
}

inline std::vector<DeviceId> first_ranks(uint32_t count) {
  std::vector<DeviceId> devices;
  for (uint32_t i = 0; i < count; ++i) devices.push_back(DeviceId(i));
  return devices;
}

}  // namespace soapbox
