// All blocks of a plan: what lower() joins into a task graph, and what lower_bound() bounds.
#pragma once

#include "sim/cluster/cluster.h"
#include "sim/cost/cost.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"
#include "sim/simulate/blocks.h"
#include "sim/simulate/network_model.h"
#include "sim/simulate/sync.h"

namespace soapbox {

struct PlanBlocks {
  IdVector<OpId, OpBlock> ops;
  IdVector<EdgeId, EdgeBlock> edges;
  IdVector<WeightId, SyncBlock> weights;
};

// REQUIRES: check_plan() accepts the plan.
PlanBlocks make_plan_blocks(const OpGraph& graph, const Cluster& cluster, const Costs& costs,
                            const Plan& plan, NetworkModel network);

}  // namespace soapbox
