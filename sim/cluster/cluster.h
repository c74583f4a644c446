// A cluster: devices, hosts, switches and NICs joined by directed links, and the routes between
// devices.
//
// A duplex cable is two links. Sending and receiving do not share capacity unless they share a link
// (a half-duplex bus is one vertex with one link through it). The same value describes NVLink
// meshes, PCIe trees, NIC ports and fat trees.
#pragma once

#include <cstddef>
#include <string>

#include "sim/base/ids.h"
#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/cluster/hardware.h"
#include "sim/cluster/routes.h"
#include "sim/cluster/topology.h"

namespace soapbox {

class Cluster {
 public:
  using Parts = Topology;

  // What a link or a device may be; outside is refused as a slip of the pen or of a unit.
  static constexpr BytesPerSecond kMinBandwidth = BytesPerSecond(1e6);
  static constexpr BytesPerSecond kMaxBandwidth = BytesPerSecond(1e18);
  static constexpr Duration kMaxLatency = milliseconds(1000 * 1000);
  static constexpr double kMinSpeedFactor = 1e-3;
  static constexpr double kMaxSpeedFactor = 1e3;

  // Checks names, ids, bandwidths, latencies and speed factors, and that every device reaches every
  // other; finds the routes by the rule in routes.h. Errors name the offender.
  static Result<Cluster> make(Parts parts);
  // The first `count` devices, filling nodes in order, and everything that joins them: nodes and
  // switches that join nothing any more are left out.
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
  // The path from one device to another; empty for a device and itself. The links are valid as long
  // as this cluster.
  Route route(DeviceId from, DeviceId to) const { return routes_.find(from, to); }

 private:
  Cluster(Parts parts, Routes routes) : parts_(std::move(parts)), routes_(std::move(routes)) {}

  Parts parts_;
  Routes routes_;
};

}  // namespace soapbox
