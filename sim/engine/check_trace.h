// An independent judge of FIFO timelines: it knows the rules, not how the engine keeps them.
#pragma once

#include "sim/base/result.h"
#include "sim/engine/engine.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

// Accepts a timeline if and only if, in this order of checks,
//   every task has its three times, none negative, and end = start + duration;
//   ready is the last end of the predecessors (zero without any), and start >= ready;
//   no resource runs two tasks at once;
//   every resource runs its tasks in the order of (ready, id), each as soon as it can:
//   start = max(ready, end of the resource's previous task);
//   the makespan is the last end.
// The error names the first violation, with the tasks and times. O((T + E) + T log T).
Status check_trace(const TaskGraph& graph, const Timeline& timeline);

}  // namespace soapbox
