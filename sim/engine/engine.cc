#include "sim/engine/engine.h"

#include <algorithm>

namespace soapbox {

void FifoEngine::run(const TaskGraph& graph, Timeline& timeline) {
  SOAPBOX_CHECK(graph.finished(), "the graph is not finished");
  const size_t tasks = graph.task_count();
  timeline.ready.assign(tasks, SimTime());
  timeline.start.resize(tasks);
  timeline.end.resize(tasks);
  timeline.events = tasks;
  free_at_.assign(graph.resource_count(), SimTime());
  unmet_ = graph.predecessor_counts();
  queue_.clear();
  queue_.reserve(tasks);

  for (TaskId task : id_range<TaskId>(tasks)) {
    if (unmet_[task] == 0) queue_.push(SimTime(), task.value());
  }
  const auto prefetch = [&](uint32_t id) {
    const TaskId task(id);
    graph.prefetch(task);
    __builtin_prefetch(&timeline.start[task], 1);
    __builtin_prefetch(&timeline.end[task], 1);
  };
  SimTime makespan;
  while (!queue_.empty()) {
    const Event event = queue_.pop(prefetch);
    const TaskId task(event.id);
    SimTime& free_at = free_at_[graph.resource(task)];
    const SimTime start = std::max(event.time, free_at);
    const SimTime end = start + graph.duration(task);
    free_at = end;
    timeline.start[task] = start;
    timeline.end[task] = end;
    makespan = std::max(makespan, end);
    for (TaskId successor : graph.successors(task)) {
      SimTime& ready = timeline.ready[successor];
      ready = std::max(ready, end);
      if (--unmet_[successor] == 0) queue_.push(ready, successor.value());
    }
  }
  timeline.makespan = makespan;
}

}  // namespace soapbox
