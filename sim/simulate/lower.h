// Lowering: model x plan x cluster x costs -> task graph.
#pragma once

#include "sim/cluster/cluster.h"
#include "sim/cost/cost.h"
#include "sim/engine/task_graph.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"
#include "sim/simulate/task_label.h"

namespace soapbox {

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
