// The task graph that every plan, collective and recorded trace is lowered to. Knows nothing of ML.
//
// A task occupies one resource (a compute device, a link, ...) for a fixed duration, after all its
// predecessors. Task ids are the structural order: every predecessor has a smaller id than its
// successors, and simultaneous events are ordered by id, never by allocation or iteration order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/units.h"

namespace soapbox {

using TaskId = StrongId<struct TaskTag>;
using ResourceId = StrongId<struct ResourceTag>;

// Successors in compressed rows. What a started task needs (duration, resource, row of successors)
// is one record of 16 bytes, so that starting a task touches one cache line of the graph.
class TaskGraph {
 public:
  explicit TaskGraph(size_t resource_count);

  // Adds a task; ids are given in order. REQUIRES: duration >= 0 and resource < resource_count.
  TaskId add_task(ResourceId resource, Duration duration);
  // REQUIRES: from < to, both added. Repeated edges are allowed and harmless.
  void add_edge(TaskId from, TaskId to);
  // Builds the rows. No task or edge may be added after.
  void finish();
  void reserve(size_t tasks, size_t edges);
  // Back to an empty graph that keeps its memory.
  void clear(size_t resource_count);

  bool finished() const { return finished_; }
  size_t task_count() const { return predecessor_counts_.size(); }
  size_t edge_count() const { return finished_ ? successors_.size() : pending_edges_.size(); }
  size_t resource_count() const { return resource_count_; }
  Duration duration(TaskId task) const { return records_[task].duration; }
  ResourceId resource(TaskId task) const { return records_[task].resource; }
  uint32_t predecessor_count(TaskId task) const { return predecessor_counts_[task]; }
  const IdVector<TaskId, uint32_t>& predecessor_counts() const { return predecessor_counts_; }
  // Hints that duration, resource and successors of the task will be needed.
  void prefetch(TaskId task) const { __builtin_prefetch(&records_[task]); }
  // In the order in which the edges were added. REQUIRES: finished.
  std::span<const TaskId> successors(TaskId task) const {
    const uint32_t first = records_[task].first_successor;
    const uint32_t last = records_[TaskId(task.value() + 1)].first_successor;
    return {successors_.data() + first, last - first};
  }

 private:
  struct Record {
    Duration duration;
    ResourceId resource;
    uint32_t first_successor = 0;
  };
  static_assert(sizeof(Record) == 16);

  struct Edge {
    TaskId from;
    TaskId to;
  };

  size_t resource_count_;
  bool finished_ = false;
  IdVector<TaskId, Record> records_;  // finish() adds one at the end, for the end of the last row
  IdVector<TaskId, uint32_t> predecessor_counts_;
  std::vector<Edge> pending_edges_;  // until finish()
  std::vector<TaskId> successors_;
};

}  // namespace soapbox
