// The front door: model x cluster x costs x plan -> outcome. A pure function.
#pragma once

#include "sim/base/result.h"
#include "sim/cluster/cluster.h"
#include "sim/cost/cost.h"
#include "sim/engine/engine.h"
#include "sim/engine/flow_engine.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"
#include "sim/simulate/lower.h"
#include "sim/simulate/network_model.h"
#include "sim/simulate/outcome.h"
#include "sim/simulate/plan_memory.h"

namespace soapbox {

// What is simulated; everything is borrowed and must outlive the user.
struct Problem {
  const Model& model;
  const Cluster& cluster;
  const Costs& costs;
  SimulationOptions options;
};

// A simulated run with everything a trace export or a checker needs.
struct Run {
  Lowered lowered;
  Timeline timeline;
  PlanMemory memory;
  IdVector<DeviceId, MemoryUse> peaks;  // of that memory
  Outcome outcome;
};

// The resources of a cluster as the fair-share engine sees them: links with their bandwidth,
// devices with their slow-downs.
Network shared_network(const Cluster& cluster, const SimulationOptions& options);

// What becomes of a plan that does not fit the memory: it is infeasible, or is reported regardless.
enum class MemoryCheck : uint8_t { kRefuse, kRegardless };

// REQUIRES: check_plan() accepts the plan.
Run simulate(const Problem& problem, const Plan& plan, MemoryCheck check = MemoryCheck::kRefuse);

}  // namespace soapbox
