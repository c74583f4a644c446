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
#include "sim/engine/route_table.h"

namespace soapbox {

using TaskId = StrongId<struct TaskTag>;

// What a task sends over the network. Its first byte leaves `latency` after the task starts.
struct Flow {
  RouteId route;
  Bytes bytes;
  Duration latency;
};

// Successors in compressed rows. What a started task needs (duration, resource, row of successors)
// is one record of 16 bytes, so that starting a task touches one cache line of the graph.
class TaskGraph {
 public:
  explicit TaskGraph(size_t resource_count);

  // Adds a task; ids are given in order. REQUIRES: duration >= 0 and resource < resource_count.
  TaskId add_task(ResourceId resource, Duration duration);
  // Adds a task that sends bytes over a route. Without sharing (engine.h) it is a task like any
  // other, on `fifo_resource` for `fifo_duration`; with sharing (flow_engine.h) it is a flow, and
  // occupies nothing. REQUIRES: as add_task(); a route of this graph, bytes >= 0, latency >= 0.
  TaskId add_flow(const Flow& flow, ResourceId fifo_resource, Duration fifo_duration);
  RouteTable& routes() { return routes_; }
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
  const RouteTable& routes() const { return routes_; }
  // Null for a task that is no flow.
  const Flow* flow(TaskId task) const {
    if (!flow_of_.contains(task) || flow_of_[task] == kNoFlow) return nullptr;
    return &flows_[flow_of_[task]];
  }
  const IdVector<TaskId, uint32_t>& predecessor_counts() const { return predecessor_counts_; }
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

  static constexpr uint32_t kNoFlow = UINT32_MAX;

  size_t resource_count_;
  bool finished_ = false;
  IdVector<TaskId, Record> records_;  // finish() adds one at the end, for the end of the last row
  IdVector<TaskId, uint32_t> predecessor_counts_;
  std::vector<Edge> pending_edges_;  // until finish()
  std::vector<TaskId> successors_;
  RouteTable routes_;
  std::vector<Flow> flows_;
  IdVector<TaskId, uint32_t> flow_of_;  // as long as the last flow needs: empty without flows
};

}  // namespace soapbox
