// A cluster: devices, hosts, switches and NICs joined by directed links, and the routes between devices.
//
// A duplex cable is two links. Sending and receiving do not share capacity unless they share a link
// (a half-duplex bus is one vertex with one link through it). The same value describes NVLink meshes,
// PCIe trees, NIC ports and fat trees.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/result.h"
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
  NodeId node;  // invalid for switches between nodes
};

struct Link {
  VertexId from;
  VertexId to;
  BytesPerSecond bandwidth;
  Duration latency;
  std::string type;  // "nvlink", "pcie", "infiniband", ...: for reports
};

struct Device {
  VertexId vertex;
  NodeId node;
  HardwareId hardware;
  double speed_factor = 1.0;  // 0.8: a straggler that takes 1/0.8 as long
};

// The links of a path in travel order, with the two figures the simple network model needs.
struct Route {
  std::vector<LinkId> links;
  LinkId bottleneck;        // the slowest link, the first of equals; invalid if `links` is empty
  BytesPerSecond bandwidth;  // of the bottleneck
  Duration latency;          // summed over the links
};

class Cluster {
 public:
  struct Parts {
    std::string name;
    IdVector<HardwareId, Hardware> hardware;
    IdVector<VertexId, Vertex> vertices;
    IdVector<LinkId, Link> links;
    IdVector<DeviceId, Device> devices;
    size_t node_count = 0;
  };
  // Checks that bandwidths are positive, latencies are not negative, and every device reaches every
  // other; computes the routes: fewest hops first, then the widest bottleneck, then the smallest vertex ids,
  // so that the choice never depends on iteration order. Devices do not relay for others unless no
  // other path exists.
  static Result<Cluster> make(Parts parts);
  // The first `count` devices, filling nodes in order, and everything that joins them.
  Result<Cluster> with_devices(size_t count) const;

  const std::string& name() const { return parts_.name; }
  const IdVector<HardwareId, Hardware>& hardware() const { return parts_.hardware; }
  const IdVector<VertexId, Vertex>& vertices() const { return parts_.vertices; }
  const IdVector<LinkId, Link>& links() const { return parts_.links; }
  const IdVector<DeviceId, Device>& devices() const { return parts_.devices; }
  const Device& device(DeviceId id) const { return parts_.devices[id]; }
  size_t device_count() const { return parts_.devices.size(); }
  size_t node_count() const { return parts_.node_count; }
  const Hardware& hardware_of(DeviceId id) const {
    return parts_.hardware[parts_.devices[id].hardware];
  }
  const std::string& device_name(DeviceId id) const {
    return parts_.vertices[parts_.devices[id].vertex].name;
  }
  // The path from one device to another; empty for a device and itself.
  const Route& route(DeviceId from, DeviceId to) const {
    return routes_[from.index() * device_count() + to.index()];
  }

 private:
  Parts parts_;
  std::vector<Route> routes_;
};

}  // namespace soapbox
