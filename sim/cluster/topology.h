// The graph of a cluster as plain data: devices, hosts, switches and NICs joined by directed links.
#pragma once

#include <cstdint>
#include <string>

#include "sim/base/ids.h"
#include "sim/base/units.h"
#include "sim/cluster/hardware.h"

namespace soapbox {

using DeviceId = StrongId<struct DeviceTag>;
using NodeId = StrongId<struct NodeTag>;
using VertexId = StrongId<struct VertexTag>;
using LinkId = StrongId<struct LinkTag>;
using HardwareId = StrongId<struct HardwareTag>;

enum class VertexKind : uint8_t { kDevice, kHost, kSwitch, kNic };

struct Vertex {
  std::string name;  // unique in the cluster, e.g. "node0.gpu1"
  VertexKind kind = VertexKind::kSwitch;
  NodeId node;  // invalid for the fabric: switches between nodes
};

struct Link {
  VertexId from;
  VertexId to;
  BytesPerSecond bandwidth;
  Duration latency;
  std::string type;  // "nvlink", "pcie", "infiniband", ...: for reports
  // The sending device makes the copy itself and computes nothing meanwhile: cores of one memory.
  bool copied_by_sender = false;
};

struct Device {
  VertexId vertex;
  NodeId node;
  HardwareId hardware;
  double speed_factor = 1.0;  // 0.8: a straggler that takes 1/0.8 as long
};

struct Topology {
  std::string name;
  IdVector<HardwareId, Hardware> hardware;
  IdVector<VertexId, Vertex> vertices;
  IdVector<LinkId, Link> links;
  IdVector<DeviceId, Device> devices;  // in the order of their nodes
  size_t node_count = 0;
};

// The first `count` devices, filling nodes in order, and everything that joins them: other nodes,
// and switches that then lead nowhere, are left out. REQUIRES: 1 <= count <= devices.size(), and
// the ids are in range.
Topology first_devices(const Topology& topology, size_t count);

}  // namespace soapbox
