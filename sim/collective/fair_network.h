// A schedule as a task graph of flows that share links (network fidelity `fair`).
#pragma once

#include <cstdint>

#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/collective/schedule.h"
#include "sim/collective/step_network.h"
#include "sim/engine/flow_engine.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

// Task ids are chunk x messages + message; joins are tasks without duration. Links whose messages
// are the same were reduced to the narrowest (step_network.h), which changes no fair rate either.
struct FairGraph {
  TaskGraph graph;
  Network links;
};

// Unlike `steps` this is unrolled in advance: some 100 bytes per message. Fails above 2^24.
Result<FairGraph> make_fair_graph(const Schedule& schedule, const StepNetwork& network, Bytes total,
                                  uint32_t chunks);

}  // namespace soapbox
