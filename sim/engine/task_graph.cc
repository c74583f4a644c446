#include "sim/engine/task_graph.h"

namespace soapbox {

TaskGraph::TaskGraph(size_t resource_count) {
  clear(resource_count);
}

void TaskGraph::clear(size_t resource_count) {
  resource_count_ = resource_count;
  finished_ = false;
  records_.clear();
  predecessor_counts_.clear();
  pending_edges_.clear();
  successors_.clear();
  routes_.clear();
  flows_.clear();
  flow_of_.clear();
}

void TaskGraph::reserve(size_t tasks, size_t edges) {
  records_.reserve(tasks + 1);
  predecessor_counts_.reserve(tasks);
  pending_edges_.reserve(edges);
}

TaskId TaskGraph::add_task(ResourceId resource, Duration duration) {
  SOAPBOX_CHECK(!finished_, "the graph is finished");
  SOAPBOX_CHECK(resource.index() < resource_count_, "no such resource");
  SOAPBOX_CHECK(duration >= Duration(), "negative duration");
  records_.push_back(Record{duration, resource, 0});
  return predecessor_counts_.push_back(0);
}

TaskId TaskGraph::add_flow(const Flow& flow, ResourceId fifo_resource, Duration fifo_duration) {
  SOAPBOX_CHECK(routes_.contains(flow.route), "no such route");
  SOAPBOX_CHECK(flow.bytes >= Bytes() && flow.latency >= Duration(), "negative flow");
  const TaskId task = add_task(fifo_resource, fifo_duration);
  flow_of_.resize(task.index(), kNoFlow);
  flow_of_.push_back(static_cast<uint32_t>(flows_.size()));
  flows_.push_back(flow);
  return task;
}

void TaskGraph::add_edge(TaskId from, TaskId to) {
  SOAPBOX_CHECK(!finished_, "the graph is finished");
  SOAPBOX_CHECK(from < to && to.index() < task_count(), "edges go from smaller to larger ids");
  ++predecessor_counts_[to];
  pending_edges_.push_back(Edge{from, to});
}

// A counting sort by `from`: stable, so a row keeps the order in which its edges were added.
void TaskGraph::finish() {
  SOAPBOX_CHECK(!finished_, "the graph is finished");
  SOAPBOX_CHECK(pending_edges_.size() <= UINT32_MAX, "too many edges for 32-bit rows");
  finished_ = true;
  records_.push_back(Record{});
  for (const Edge& edge : pending_edges_) ++records_[edge.from].first_successor;
  uint32_t end = 0;
  for (Record& record : records_) record.first_successor = end += record.first_successor;
  // Each row is filled from its end downwards, after which first_successor is its beginning.
  successors_.resize(pending_edges_.size());
  for (size_t i = pending_edges_.size(); i-- > 0;) {
    const Edge& edge = pending_edges_[i];
    successors_[--records_[edge.from].first_successor] = edge.to;
  }
  pending_edges_.clear();
}

}  // namespace soapbox
