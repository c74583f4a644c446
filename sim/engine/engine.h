// Event-driven simulation of a task graph on first-in-first-out resources.
//
// Rule (FlexFlow, SysML 2019, section 5.2; assumptions A3 and A4): a task is ready when its last
// predecessor ends; a resource runs its tasks in the order of (ready time, task id), one at a time,
// without pause: start = max(ready, end of the resource's previous task). Because ids follow the
// edges, popping the smallest (ready, id) visits every resource's tasks in that order even when
// tasks take no time, and the pops are monotone, as the event queue needs.
//
// O((T + E) log T) time; no allocation inside the loop; one push and one pop per task.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/units.h"
#include "sim/engine/event_queue.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

// When each task ran. Every task of a finished graph runs: edges from smaller to larger ids have no
// cycle.
struct Timeline {
  IdVector<TaskId, SimTime> ready;
  IdVector<TaskId, SimTime> start;
  IdVector<TaskId, SimTime> end;
  SimTime makespan;     // the last end; zero for an empty graph
  uint64_t events = 0;  // tasks started
};

// Reusable buffers: a second run of a graph that is not larger allocates nothing.
class FifoEngine {
 public:
  // REQUIRES: graph.finish() was called. Aborts if simulated time exceeds 2^63 ps (106 days).
  void run(const TaskGraph& graph, Timeline& timeline);

 private:
  void start(const TaskGraph& graph, Timeline& timeline);
  void prefetch(const TaskGraph& graph, const Timeline& timeline) const;

  EventQueue queue_;
  IdVector<ResourceId, SimTime> free_at_;
  IdVector<TaskId, uint32_t> unmet_;  // predecessors that have not ended
};

}  // namespace soapbox
