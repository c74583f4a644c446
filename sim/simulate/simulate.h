// The front door: model x cluster x costs x plan -> outcome. A pure function.
#pragma once

#include <string>
#include <string_view>

#include "sim/base/result.h"
#include "sim/cluster/cluster.h"
#include "sim/cost/cost.h"
#include "sim/engine/engine.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"
#include "sim/simulate/lower.h"
#include "sim/simulate/outcome.h"

namespace soapbox {

// How transfers share the network.
//   kFifo  each link serves one transfer at a time, in order of readiness, at s / b (FlexFlow's
//   model)
enum class NetworkModel : uint8_t { kFifo };
std::string to_string(NetworkModel network);
Result<NetworkModel> parse_network_model(std::string_view text);

struct SimulationOptions {
  NetworkModel network = NetworkModel::kFifo;
};

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
  Outcome outcome;
};

// REQUIRES: check_plan() accepts the plan.
Run simulate(const Problem& problem, const Plan& plan);

}  // namespace soapbox
