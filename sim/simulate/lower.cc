// Joins the blocks of a plan into one task graph.
//
// Task ids follow this order, which every dependency respects:
//   forward   operators in topological order: transfers of their inputs, then their pieces
//   backward  operators in reverse order: transfers and sums of their output gradients, then pieces
//   update    weights: gradient exchange, then optimiser steps
#include "sim/simulate/lower.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sim/simulate/blocks.h"

namespace soapbox {

std::string to_string(TaskKind kind) {
  static constexpr std::array<std::pair<TaskKind, const char*>, 8> kNames = {{
      {TaskKind::kForward, "forward"},
      {TaskKind::kForwardTransfer, "forward_transfer"},
      {TaskKind::kBackward, "backward"},
      {TaskKind::kBackwardTransfer, "backward_transfer"},
      {TaskKind::kGradientSum, "gradient_sum"},
      {TaskKind::kSyncTransfer, "sync_transfer"},
      {TaskKind::kBarrier, "barrier"},
      {TaskKind::kUpdate, "update"},
  }};
  for (const auto& [value, name] : kNames) {
    if (value == kind) return name;
  }
  return "?";
}

namespace {

class Lowering {
 public:
  Lowering(const Model& model, const Cluster& cluster, const Costs& costs, const Plan& plan)
      : graph_(model.graph),
        cluster_(cluster),
        costs_(costs),
        plan_(plan),
        out_{TaskGraph(resource_count(cluster)), {}, {}, {}, {}, {}} {}

  Lowered run() {
    for (const EdgeId edge : graph_.edges().ids()) {
      const Edge& e = graph_.edge(edge);
      edges_.push_back(make_edge_block(graph_, edge, plan_.ops[e.producer], plan_.ops[e.consumer],
                                       cluster_, costs_));
    }
    for (const OpId op : graph_.ops().ids()) {
      blocks_.push_back(make_op_block(graph_.op(op), plan_.ops[op], cluster_, costs_));
    }
    forward_.resize(graph_.ops().size());
    backward_.resize(graph_.ops().size());
    for (const OpId op : graph_.ops().ids()) lower_forward(op);
    for (size_t i = graph_.ops().size(); i-- > 0;) lower_backward(OpId::from_index(i));
    lower_weights();
    out_.graph.finish();
    return std::move(out_);
  }

 private:
  TaskId add_compute(TaskKind kind, DeviceId device, Duration duration, OpId op, uint32_t piece) {
    const TaskId task = out_.graph.add_task(compute_resource(device), duration);
    out_.labels.push_back({kind, op, piece, {}, {}, device, {}, {}});
    out_.compute_total += duration;
    return task;
  }
  TaskId add_transfer(TaskKind kind, DeviceId from, DeviceId to, Bytes bytes) {
    const Route& route = cluster_.route(from, to);
    const TaskId task =
        out_.graph.add_task(link_resource(cluster_, route.bottleneck), bytes / route.bandwidth);
    out_.labels.push_back({kind, {}, 0, {}, {}, from, to, bytes});
    out_.communication += bytes;
    out_.network += bytes;
    return task;
  }
  // A moment that waits for many and releases many, on a resource of its own that never delays.
  TaskId add_barrier() {
    const TaskId task = out_.graph.add_task(barrier_resource(cluster_), Duration());
    out_.labels.push_back({TaskKind::kBarrier, {}, 0, {}, {}, {}, {}, {}});
    return task;
  }
  void add_edge(TaskId from, TaskId to) { out_.graph.add_edge(from, to); }

  void lower_forward(OpId op);
  void lower_backward(OpId op);
  void lower_edge_backward(EdgeId edge, std::vector<std::pair<TaskId, uint32_t>>& arrivals);
  void lower_weights();
  void lower_slice(WeightId weight, size_t index, const WeightSlice& slice, TaskId all_backward);
  void lower_ring(WeightId weight, const WeightSlice& slice, TaskId all_backward);
  void lower_server(WeightId weight, size_t index, const WeightSlice& slice);
  void add_serial(const WeightSlice& slice);
  TaskId add_update(WeightId weight, DeviceId device, Duration duration) {
    const TaskId task = add_compute(TaskKind::kUpdate, device, duration, {}, 0);
    out_.labels[task].weight = weight;
    return task;
  }
  Duration update_time(Bytes bytes, DeviceId device) const {
    return costs_.update(bytes, cluster_.device(device).hardware);
  }
  void after_contributors(const WeightReplica& replica, TaskId task) {
    for (const auto& [op, piece] : replica.contributors) add_edge(backward_[op][piece], task);
  }

  const OpGraph& graph_;
  const Cluster& cluster_;
  const Costs& costs_;
  const Plan& plan_;
  Lowered out_;
  IdVector<OpId, OpBlock> blocks_;
  IdVector<EdgeId, EdgeBlock> edges_;
  IdVector<OpId, std::vector<TaskId>> forward_;   // task of each piece; empty for inputs
  IdVector<OpId, std::vector<TaskId>> backward_;  // empty where there is no gradient
};

void Lowering::lower_forward(OpId op) {
  struct Arrival {
    TaskId task;
    uint32_t piece;
  };
  std::vector<Arrival> arrivals;
  for (const EdgeId edge : graph_.in_edges(op)) {
    const OpId producer = graph_.edge(edge).producer;
    for (const PiecePair& pair : edges_[edge].pairs) {
      const TaskId source = forward_[producer][pair.producer_piece];
      if (pair.local) {
        arrivals.push_back({source, pair.consumer_piece});
        continue;
      }
      const TaskId transfer =
          add_transfer(TaskKind::kForwardTransfer, plan_.ops[producer].devices[pair.producer_piece],
                       plan_.ops[op].devices[pair.consumer_piece], pair.bytes);
      out_.labels[transfer].edge = edge;
      add_edge(source, transfer);
      arrivals.push_back({transfer, pair.consumer_piece});
    }
  }
  const OpBlock& block = blocks_[op];
  for (uint32_t piece = 0; piece < block.forward.size(); ++piece) {
    forward_[op].push_back(add_compute(TaskKind::kForward, plan_.ops[op].devices[piece],
                                       block.forward[piece], op, piece));
  }
  for (const Arrival& arrival : arrivals) add_edge(arrival.task, forward_[op][arrival.piece]);
}

// Gradients of `edge`'s tensor, from the consumer's pieces to the producer's. Appends the tasks
// that the producer's backward pieces wait for.
void Lowering::lower_edge_backward(EdgeId edge,
                                   std::vector<std::pair<TaskId, uint32_t>>& arrivals) {
  const auto& [producer, consumer, input] = graph_.edge(edge);
  const EdgeBlock& block = edges_[edge];
  if (backward_[consumer].empty()) return;
  std::vector<std::pair<TaskId, uint32_t>> partial;
  for (const PiecePair& pair : block.pairs) {
    const TaskId source = backward_[consumer][pair.consumer_piece];
    if (pair.local) {
      partial.emplace_back(source, pair.producer_piece);
      continue;
    }
    const TaskId transfer =
        add_transfer(TaskKind::kBackwardTransfer, plan_.ops[consumer].devices[pair.consumer_piece],
                     plan_.ops[producer].devices[pair.producer_piece], pair.bytes);
    out_.labels[transfer].edge = edge;
    add_edge(source, transfer);
    partial.emplace_back(transfer, pair.producer_piece);
  }
  std::vector<TaskId> sum_of(plan_.ops[producer].task_count());
  for (const GradientSum& sum : block.sums) {
    const DeviceId device = plan_.ops[producer].devices[sum.producer_piece];
    const TaskId task =
        add_compute(TaskKind::kGradientSum, device, sum.duration, producer, sum.producer_piece);
    out_.labels[task].edge = edge;
    sum_of[sum.producer_piece] = task;
    arrivals.emplace_back(task, sum.producer_piece);
  }
  for (const auto& [task, piece] : partial) {
    if (sum_of[piece].valid()) {
      add_edge(task, sum_of[piece]);
    } else {
      arrivals.emplace_back(task, piece);
    }
  }
}

void Lowering::lower_backward(OpId op) {
  const OpBlock& block = blocks_[op];
  if (block.backward.empty()) return;
  std::vector<std::pair<TaskId, uint32_t>> arrivals;
  for (const EdgeId edge : graph_.out_edges(op)) lower_edge_backward(edge, arrivals);
  for (uint32_t piece = 0; piece < block.backward.size(); ++piece) {
    const TaskId task = add_compute(TaskKind::kBackward, plan_.ops[op].devices[piece],
                                    block.backward[piece], op, piece);
    backward_[op].push_back(task);
    add_edge(forward_[op][piece], task);
  }
  for (const auto& [task, piece] : arrivals) add_edge(task, backward_[op][piece]);
}

void Lowering::lower_weights() {
  TaskId all_backward;
  if (plan_.sync == SyncMode::kBulk) {
    all_backward = add_barrier();
    for (const auto& tasks : backward_) {
      for (const TaskId task : tasks) add_edge(task, all_backward);
    }
  }
  // Last layers first: their gradients are ready first.
  for (size_t i = graph_.weights().size(); i-- > 0;) {
    const WeightId weight = WeightId::from_index(i);
    const WeightBlock block = make_weight_block(graph_, weight, plan_);
    for (size_t s = 0; s < block.slices.size(); ++s) {
      lower_slice(weight, s, block.slices[s], all_backward);
    }
  }
}

void Lowering::lower_slice(WeightId weight, size_t index, const WeightSlice& slice,
                           TaskId all_backward) {
  const bool exchanged = slice.replicas.size() > 1 && plan_.sync != SyncMode::kSerial;
  if (exchanged && plan_.sync == SyncMode::kParameterServer) {
    lower_server(weight, index, slice);
  } else if (exchanged) {
    lower_ring(weight, slice, all_backward);
  } else {
    for (const WeightReplica& replica : slice.replicas) {
      const Duration duration = update_time(slice.bytes, replica.device);
      after_contributors(replica, add_update(weight, replica.device, duration));
    }
    if (slice.replicas.size() > 1) add_serial(slice);
  }
}

// Ring all-reduce of W bytes over n replicas in device order: every link of the ring carries
// 2 (n - 1) / n W bytes (reduce-scatter, then all-gather).
void Lowering::lower_ring(WeightId weight, const WeightSlice& slice, TaskId all_backward) {
  const auto n = static_cast<int64_t>(slice.replicas.size());
  const TaskId ready = add_barrier();
  for (const WeightReplica& replica : slice.replicas) after_contributors(replica, ready);
  if (all_backward.valid()) add_edge(all_backward, ready);
  const Bytes share((2 * (n - 1) * slice.bytes.count() + n - 1) / n);
  std::vector<TaskId> ring;
  for (size_t i = 0; i < slice.replicas.size(); ++i) {
    const DeviceId to = slice.replicas[(i + 1) % slice.replicas.size()].device;
    const TaskId transfer =
        add_transfer(TaskKind::kSyncTransfer, slice.replicas[i].device, to, share);
    out_.labels[transfer].weight = weight;
    add_edge(ready, transfer);
    ring.push_back(transfer);
  }
  const TaskId reduced = add_barrier();
  for (const TaskId transfer : ring) add_edge(transfer, reduced);
  for (const WeightReplica& replica : slice.replicas) {
    add_edge(reduced, add_update(weight, replica.device, update_time(slice.bytes, replica.device)));
  }
}

// The servers of a weight's slices are spread over its replicas. The server's own replica pushes
// and pulls inside its device: that is data moved, but not over the network.
void Lowering::lower_server(WeightId weight, size_t index, const WeightSlice& slice) {
  const size_t server = (weight.index() + index) % slice.replicas.size();
  const DeviceId home = slice.replicas[server].device;
  std::vector<TaskId> pushes;
  for (size_t i = 0; i < slice.replicas.size(); ++i) {
    if (i == server) continue;
    const TaskId push =
        add_transfer(TaskKind::kSyncTransfer, slice.replicas[i].device, home, slice.bytes);
    out_.labels[push].weight = weight;
    after_contributors(slice.replicas[i], push);
    pushes.push_back(push);
  }
  const Duration duration =
      costs_.sum(slice.bytes, slice.replicas.size(), cluster_.device(home).hardware) +
      update_time(slice.bytes, home);
  const TaskId update = add_update(weight, home, duration);
  after_contributors(slice.replicas[server], update);
  for (const TaskId push : pushes) add_edge(push, update);
  for (size_t i = 0; i < slice.replicas.size(); ++i) {
    if (i == server) continue;
    const TaskId pull =
        add_transfer(TaskKind::kSyncTransfer, home, slice.replicas[i].device, slice.bytes);
    out_.labels[pull].weight = weight;
    add_edge(update, pull);
  }
  out_.communication += slice.bytes * 2;
}

// FlexFlow v1.0's analytic rule: W (g - 1) / intra-node rate + W (nodes - 1) / inter-node rate,
// with g the most replicas inside one node. The rates are those of the replicas' own routes.
void Lowering::add_serial(const WeightSlice& slice) {
  std::vector<std::pair<NodeId, size_t>> nodes;  // replicas are sorted by device, so by node
  for (const WeightReplica& replica : slice.replicas) {
    const NodeId node = cluster_.device(replica.device).node;
    if (nodes.empty() || nodes.back().first != node) nodes.emplace_back(node, 0);
    ++nodes.back().second;
  }
  size_t most = 0;
  for (const auto& [node, count] : nodes) most = std::max(most, count);
  BytesPerSecond intra;
  BytesPerSecond inter;
  for (size_t i = 1; i < slice.replicas.size(); ++i) {
    const DeviceId a = slice.replicas[i - 1].device;
    const DeviceId b = slice.replicas[i].device;
    BytesPerSecond& slowest = cluster_.device(a).node == cluster_.device(b).node ? intra : inter;
    const BytesPerSecond rate = cluster_.route(a, b).bandwidth;
    if (slowest.rate() == 0 || rate < slowest) slowest = rate;
  }
  if (most > 1) {
    out_.serial_sync += slice.bytes * static_cast<int64_t>(most - 1) / intra;
  }
  if (nodes.size() > 1) {
    out_.serial_sync += slice.bytes * static_cast<int64_t>(nodes.size() - 1) / inter;
  }
  const auto moved = static_cast<int64_t>(slice.replicas.size());
  out_.communication += slice.bytes * (2 * moved);
  out_.network += slice.bytes * (2 * (moved - 1));
}

}  // namespace

Lowered lower(const Model& model, const Cluster& cluster, const Costs& costs, const Plan& plan) {
  return Lowering(model, cluster, costs, plan).run();
}

}  // namespace soapbox
