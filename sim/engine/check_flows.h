// An independent judge of runs whose flows share links: it knows the rules of flow_engine.h, not
// how the engine keeps them, and nothing of fairness beyond what a link can carry.
#pragma once

#include <span>

#include "sim/base/result.h"
#include "sim/engine/flow_engine.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

// Accepts a timeline and its log of rates if and only if
//   every task is ready at the last end of its predecessors and starts no earlier;
//   tasks that are no flows run one at a time on their resource in the order of (ready, id), each
//   as soon as it can, for at least their duration, and at most their duration times the task
//   slowdown (rounded up to a picosecond); a flow starts when it is ready, and its end is the first
//   picosecond at which all its bytes are sent, by the rates of the log and no earlier than its
//   latency allows; no link carries more than its capacity at any moment; the makespan is the last
//   end.
// The error names the first violation. O(N log N) for N tasks, edges, links of routes and log
// entries.
Status check_flows(const TaskGraph& graph, const Network& network, const Timeline& timeline,
                   std::span<const RateChange> log);

}  // namespace soapbox
