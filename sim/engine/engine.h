// Event-driven simulation of a task graph on first-in-first-out resources.
//
// Rule (FlexFlow, SysML 2019, section 5.2; assumptions A3 and A4): a task is ready when its last
// predecessor ends; a resource runs its tasks in the order of (ready time, task id), one at a time,
// without pause: start = max(ready, end of the resource's previous task). Because ids follow the edges,
// popping the smallest (ready, id) visits every resource's tasks in that order even when tasks take no time.
//
// O((T + E) log T) time; no allocation inside the loop; one heap operation pair per task.
#pragma once

#include <cstdint>

#include "sim/base/ids.h"
#include "sim/base/units.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

// When each task ran. A task that was never started has started[task] == false: the graph has a cycle
// or an unmet dependency, which finish() and add_edge() rule out.
struct Timeline {
  IdVector<TaskId, SimTime> ready;
  IdVector<TaskId, SimTime> start;
  IdVector<TaskId, SimTime> end;
  SimTime makespan;
  uint64_t events = 0;
};

// Reusable buffers: a second run of a similar graph allocates nothing.
class FifoEngine {
 public:
  // REQUIRES: graph.finish() was called.
  void run(const TaskGraph& graph, Timeline& timeline);

 private:
  struct Event {
    int64_t time_ps;
    uint32_t task;
    uint32_t padding;
  };
  static_assert(sizeof(Event) == 16);
  std::vector<Event> heap_;
  IdVector<ResourceId, SimTime> free_at_;
  IdVector<TaskId, uint32_t> unmet_;
};

}  // namespace soapbox
