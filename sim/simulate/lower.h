// Lowering: model x plan x cluster x costs -> task graph.
#pragma once

#include <cstdint>
#include <string>

#include "sim/cluster/cluster.h"
#include "sim/cost/cost.h"
#include "sim/engine/task_graph.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"

namespace soapbox {

enum class TaskKind : uint8_t {
  kForward,
  kForwardTransfer,  // activations, producer's device to consumer's
  kBackward,
  kBackwardTransfer,  // input gradients, consumer's device to producer's
  kGradientSum,       // adds the partial input gradients of several consumer pieces
  kSyncTransfer,      // weight gradients and new weights
  kBarrier,
  kUpdate,  // optimiser step
};
std::string to_string(TaskKind kind);

// What a task is, for traces, reports and the checker. Fields that do not apply are invalid or
// zero.
struct TaskLabel {
  TaskKind kind = TaskKind::kForward;
  OpId op;
  uint32_t piece = 0;
  EdgeId edge;
  WeightId weight;
  DeviceId from;  // where the task runs, or where the transfer starts
  DeviceId to;    // where the transfer ends
  Bytes bytes;
};

struct Lowered {
  TaskGraph graph;
  IdVector<TaskId, TaskLabel> labels;
  Duration serial_sync;  // added after the makespan (SyncMode::kSerial)
  Bytes communication;   // see Report
  Bytes network;
  Duration compute_total;
};

// Resources are numbered: the devices, then the links, then one that carries only barriers.
inline ResourceId compute_resource(DeviceId device) {
  return ResourceId(device.value());
}
inline ResourceId link_resource(const Cluster& cluster, LinkId link) {
  return ResourceId::from_index(cluster.device_count() + link.index());
}
inline ResourceId barrier_resource(const Cluster& cluster) {
  return ResourceId::from_index(cluster.device_count() + cluster.links().size());
}
inline size_t resource_count(const Cluster& cluster) {
  return barrier_resource(cluster).index() + 1;
}

// REQUIRES: check_plan() accepts the plan.
Lowered lower(const Model& model, const Cluster& cluster, const Costs& costs, const Plan& plan);

}  // namespace soapbox
