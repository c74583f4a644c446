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

// Structure of arrays; successors in compressed rows.
class TaskGraph {
 public:
  // Adds a task; ids are given in order. REQUIRES: duration >= 0 and resource < resource_count.
  TaskId add_task(ResourceId resource, Duration duration);
  // REQUIRES: from < to, both added. Repeated edges are allowed and harmless.
  void add_edge(TaskId from, TaskId to);
  // Builds the rows. No task or edge may be added after.
  void finish();
  void reserve(size_t tasks, size_t edges);

  explicit TaskGraph(size_t resource_count) : resource_count_(resource_count) {}
  size_t task_count() const { return durations_.size(); }
  size_t edge_count() const { return successors_.size(); }
  size_t resource_count() const { return resource_count_; }
  Duration duration(TaskId task) const { return durations_[task]; }
  ResourceId resource(TaskId task) const { return resources_[task]; }
  uint32_t predecessor_count(TaskId task) const { return predecessor_counts_[task]; }
  std::span<const TaskId> successors(TaskId task) const {
    return {successors_.data() + rows_[task.index()],
            successors_.data() + rows_[task.index() + 1]};
  }

 private:
  size_t resource_count_;
  IdVector<TaskId, Duration> durations_;
  IdVector<TaskId, ResourceId> resources_;
  IdVector<TaskId, uint32_t> predecessor_counts_;
  std::vector<std::pair<TaskId, TaskId>> pending_edges_;  // until finish()
  std::vector<uint32_t> rows_;
  std::vector<TaskId> successors_;
};

}  // namespace soapbox
