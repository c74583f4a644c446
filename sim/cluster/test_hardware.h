// A real device and the smallest cluster of it, for the tests of costs and of what stands on them.
#pragma once

#include <utility>

#include "sim/cluster/cluster.h"

namespace soapbox {

inline Hardware test_p100() {
  Hardware hardware;
  hardware.name = "P100-SXM2-16GB";
  hardware.fp32_peak = tflops_per_s(10.6);
  hardware.fp16_peak = tflops_per_s(21.2);
  hardware.memory_bandwidth = gb_per_s(732);
  hardware.memory = gibibytes(16);
  hardware.sm_count = 56;
  hardware.source = "NVIDIA Tesla P100 datasheet";
  return hardware;
}

inline Cluster one_device(const Hardware& hardware) {
  Cluster::Parts parts;
  parts.name = "one";
  parts.hardware.push_back(hardware);
  parts.vertices.push_back({"node0.gpu0", VertexKind::kDevice, NodeId(0)});
  Device device;
  device.vertex = VertexId(0);
  device.node = NodeId(0);
  device.hardware = HardwareId(0);
  parts.devices.push_back(device);
  parts.node_count = 1;
  Result<Cluster> cluster = Cluster::make(std::move(parts));
  SOAPBOX_CHECK(cluster.has_value(), "one device is a cluster");
  return *std::move(cluster);
}

}  // namespace soapbox
