// Small clusters and random plans for the tests of this layer.
#pragma once

#include <string>

#include "sim/base/rng.h"
#include "sim/cluster/cluster.h"
#include "sim/model/graph.h"
#include "sim/model/transformer.h"
#include "sim/plan/plan.h"

namespace soapbox {

// `nodes` nodes of `gpus` devices: a duplex link between any two devices of a node at 10 GB/s, and
// one NIC per node at 2 GB/s each way through one switch.
inline Cluster test_cluster(size_t nodes, size_t gpus, double straggler_speed = 1.0,
                            bool copied_by_sender = false) {
  Cluster::Parts parts;
  parts.name = "test";
  parts.node_count = nodes;
  Hardware hardware;
  hardware.name = "test-gpu";
  hardware.fp32_peak = tflops_per_s(10);
  hardware.memory_bandwidth = gb_per_s(500);
  hardware.memory = gibibytes(16);
  hardware.sm_count = 50;
  const HardwareId gpu = parts.hardware.push_back(hardware);
  const auto join = [&](VertexId a, VertexId b, double rate_gb_per_s) {
    parts.links.push_back(
        {a, b, gb_per_s(rate_gb_per_s), microseconds(1), "test", copied_by_sender});
    parts.links.push_back(
        {b, a, gb_per_s(rate_gb_per_s), microseconds(1), "test", copied_by_sender});
  };
  const VertexId fabric = parts.vertices.push_back({"switch", VertexKind::kSwitch, {}});
  for (size_t n = 0; n < nodes; ++n) {
    const NodeId node = NodeId::from_index(n);
    const std::string prefix = "node" + std::to_string(n);
    const VertexId nic = parts.vertices.push_back({prefix + ".nic", VertexKind::kNic, node});
    join(nic, fabric, 2);
    std::vector<VertexId> local;
    for (size_t g = 0; g < gpus; ++g) {
      const VertexId vertex = parts.vertices.push_back(
          {prefix + ".gpu" + std::to_string(g), VertexKind::kDevice, node});
      for (const VertexId other : local) join(other, vertex, 10);
      join(vertex, nic, 5);
      local.push_back(vertex);
      Device device;
      device.vertex = vertex;
      device.node = node;
      device.hardware = gpu;
      if (n == 0 && g == 0) device.speed_factor = straggler_speed;
      parts.devices.push_back(device);
    }
  }
  return *Cluster::make(std::move(parts));
}

// Every operator split over its samples, task k on device k.
inline Plan data_parallel_plan(const OpGraph& graph, size_t devices,
                               SyncMode sync = SyncMode::kOverlapped) {
  Plan plan;
  plan.sync = sync;
  OpConfig config;
  config.degrees[0] = static_cast<int32_t>(devices);
  for (uint32_t d = 0; d < devices; ++d) config.devices.push_back(DeviceId(d));
  for (size_t i = 0; i < graph.ops().size(); ++i) plan.ops.push_back(config);
  return plan;
}

// A random configuration: any degrees that divide, at most `most_tasks` tasks, any devices.
inline OpConfig random_config(const Operator& op, size_t device_count, size_t most_tasks,
                              Rng& rng) {
  OpConfig config;
  size_t tasks = 1;
  for (size_t d = 0; d < op.dims.size(); ++d) {
    if (!op.dims[d].divisible || op.dims[d].dim_class == DimClass::kReduction) continue;
    const auto degree = static_cast<int32_t>(1 + rng.below(4));
    if (op.dims[d].size % degree != 0) continue;
    if (tasks * static_cast<size_t>(degree) > most_tasks) continue;
    config.degrees[d] = degree;
    tasks *= static_cast<size_t>(degree);
  }
  for (size_t i = 0; i < tasks; ++i) {
    config.devices.push_back(DeviceId(rng.below(static_cast<uint32_t>(device_count))));
  }
  return config;
}

inline Plan random_plan(const OpGraph& graph, size_t device_count, SyncMode sync, Rng& rng) {
  Plan plan;
  plan.sync = sync;
  for (const Operator& op : graph.ops()) {
    plan.ops.push_back(random_config(op, device_count, 2 * device_count, rng));
  }
  return plan;
}

// A stack of equal blocks between an embedding and a head.
inline Transformer tiny_transformer(int32_t blocks, int64_t experts = 0) {
  Transformer model;
  model.name = "tiny";
  model.seq_len = 16;
  TransformerLayer layer;
  layer.hidden = 32;
  layer.seq_len = 16;
  layer.kind = LayerKind::kEmbedding;
  layer.vocab = 100;
  model.layers.push_back(layer);
  layer.kind = LayerKind::kBlock;
  layer.vocab = 0;
  layer.attention = {.heads = 4, .kv_heads = 4, .head_dim = 8};
  layer.mlp = {.hidden = 128, .experts = experts, .experts_per_token = experts > 0 ? 2 : 0};
  for (int32_t i = 0; i < blocks; ++i) model.layers.push_back(layer);
  layer.kind = LayerKind::kHead;
  layer.vocab = 100;
  model.layers.push_back(layer);
  return model;
}

}  // namespace soapbox
