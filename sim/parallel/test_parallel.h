// For tests: a machine of fast devices on a switch in each node and a network, and a small GPT.
#pragma once

#include "sim/base/str.h"
#include "sim/model/gpt.h"
#include "sim/parallel/stage_costs.h"

namespace soapbox {

inline Hardware test_accelerator() {
  Hardware hardware;
  hardware.name = "test";
  hardware.fp32_peak = FlopsPerSecond(20e12);
  hardware.fp16_peak = FlopsPerSecond(300e12);
  hardware.bf16_peak = FlopsPerSecond(300e12);
  hardware.memory_bandwidth = gb_per_s(2000);
  hardware.memory = gibibytes(80);
  hardware.sm_count = 108;
  return hardware;
}

inline Cluster test_cluster(uint32_t devices, uint32_t per_node, double gb_per_s_of_link,
                            double slowest) {
  Topology parts;
  parts.name = "test";
  parts.hardware.push_back(test_accelerator());
  parts.node_count = (devices + per_node - 1) / per_node;
  const auto cable = [&](VertexId a, VertexId b, double rate, const char* type) {
    parts.links.push_back({a, b, gb_per_s(rate), microseconds(1), type});
    parts.links.push_back({b, a, gb_per_s(rate), microseconds(1), type});
  };
  const VertexId fabric = parts.vertices.push_back({"fabric", VertexKind::kSwitch, NodeId()});
  for (uint32_t node = 0; node < parts.node_count; ++node) {
    const VertexId hub = parts.vertices.push_back(
        {str_cat("node", node, ".switch"), VertexKind::kSwitch, NodeId(node)});
    const VertexId nic =
        parts.vertices.push_back({str_cat("node", node, ".nic"), VertexKind::kNic, NodeId(node)});
    cable(hub, nic, gb_per_s_of_link / 2, "pcie");
    cable(nic, fabric, gb_per_s_of_link / 4, "infiniband");
    for (uint32_t i = 0; i < per_node && node * per_node + i < devices; ++i) {
      const VertexId gpu = parts.vertices.push_back(
          {str_cat("node", node, ".gpu", i), VertexKind::kDevice, NodeId(node)});
      parts.devices.push_back({gpu, NodeId(node), HardwareId(0), 1.0});
      cable(gpu, hub, gb_per_s_of_link, "nvlink");
    }
  }
  parts.devices.back().speed_factor = slowest;
  return Cluster::make(parts).value();
}

struct TestMachine {
  TestMachine(uint32_t devices, uint32_t per_node, bool free_network = false, double slowest = 1)
      : cluster(test_cluster(devices, per_node, free_network ? 1e9 : 200, slowest)),
        groups(GroupCosts::make(cluster, nullptr)) {
    kernels.push_back(KernelCosts::make(test_accelerator(), nullptr).value());
  }
  ParallelProblem problem(const Transformer& model) const {
    return {model, cluster, kernels, groups, {}};
  }

  Cluster cluster;
  IdVector<HardwareId, KernelCosts> kernels;
  GroupCosts groups;
};

inline Transformer small_gpt(int64_t blocks) {
  return make_gpt("small", "test", gpt_shape(blocks, 2048, 16, 51200, 1024)).value();
}

}  // namespace soapbox
