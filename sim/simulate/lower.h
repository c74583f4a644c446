// Lowering: model x plan x cluster x costs -> task graph.
#pragma once

#include "sim/cluster/cluster.h"
#include "sim/cost/cost.h"
#include "sim/engine/task_graph.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"
#include "sim/simulate/network_model.h"
#include "sim/simulate/plan_blocks.h"
#include "sim/simulate/task_label.h"
#include "sim/simulate/transfer.h"

namespace soapbox {

struct Lowered {
  TaskGraph graph;
  IdVector<TaskId, TaskLabel> labels;
  Duration serial_sync;  // added after the makespan (SyncMode::kSerial)
  Bytes communication;   // see Report
  Bytes network;
  Duration compute_total;
};

// REQUIRES: check_plan() accepts the plan, and `blocks` are its blocks for this network.
// With NetworkModel::kFair every transfer is a flow.
Lowered lower(const Model& model, const Cluster& cluster, const Plan& plan, NetworkModel network,
              const PlanBlocks& blocks);
// The same, from blocks that it makes and drops.
Lowered lower(const Model& model, const Cluster& cluster, const Costs& costs, const Plan& plan,
              NetworkModel network = NetworkModel::kFifo);

}  // namespace soapbox
