#include "sim/engine/engine.h"

#include <algorithm>
#include <span>

namespace soapbox {

// Makes room for the results, and queues what waits for nothing.
void FifoEngine::start(const TaskGraph& graph, Timeline& timeline) {
  const size_t tasks = graph.task_count();
  timeline.ready.assign(tasks, SimTime());
  timeline.start.resize(tasks);
  timeline.end.resize(tasks);
  timeline.events = tasks;
  free_at_.assign(graph.resource_count(), SimTime());
  unmet_ = graph.predecessor_counts();
  queue_.clear(tasks);
  queue_.reserve(tasks);
  for (const TaskId task : id_range<TaskId>(tasks)) {
    if (unmet_[task] == 0) queue_.push(SimTime(), task.value());
  }
}

// What the next events will read and write: an event's task a while before, then its row of
// successors, then the first of these. Always inlined: GCC takes a function that only prefetches
// for one without an effect, and drops its calls, which halves the speed at 1e5 pending events.
[[gnu::always_inline]] inline void FifoEngine::prefetch(const TaskGraph& graph,
                                                        const Timeline& timeline) const {
  const uint32_t far = queue_.upcoming(12);
  if (far == EventQueue::kNone) return;
  graph.prefetch(TaskId(far));
  const TaskId middle(queue_.upcoming(8));
  __builtin_prefetch(graph.successors(middle).data());
  __builtin_prefetch(&timeline.end[middle], 1);
  const std::span<const TaskId> successors = graph.successors(TaskId(queue_.upcoming(4)));
  if (successors.empty()) return;
  __builtin_prefetch(&timeline.ready[successors[0]], 1);
  __builtin_prefetch(&unmet_[successors[0]], 1);
}

void FifoEngine::run(const TaskGraph& graph, Timeline& timeline) {
  SOAPBOX_CHECK(graph.finished(), "the graph is not finished");
  start(graph, timeline);
  SimTime makespan;
  while (!queue_.empty()) {
    const Event event = queue_.pop();
    prefetch(graph, timeline);
    const TaskId task(event.id);
    SimTime& free_at = free_at_[graph.resource(task)];
    const SimTime end = std::max(event.time, free_at) + graph.duration(task);
    timeline.end[task] = free_at = end;
    makespan = std::max(makespan, end);
    for (const TaskId successor : graph.successors(task)) {
      SimTime& ready = timeline.ready[successor];
      ready = std::max(ready, end);
      if (--unmet_[successor] == 0) queue_.push(ready, successor.value());
    }
  }
  timeline.makespan = makespan;
  // Not in the loop, where it would be one more line of the cache for every event.
  for (const TaskId task : id_range<TaskId>(graph.task_count())) {
    timeline.start[task] =
        SimTime(timeline.end[task].picoseconds() - graph.duration(task).picoseconds());
  }
}

}  // namespace soapbox
