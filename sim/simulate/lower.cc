// Joins the blocks of a plan into one task graph.
//
// Task ids follow this order, which every dependency respects:
//   forward   operators in topological order: their pieces, then what each piece sends
//   backward  operators in reverse order: sums of their output gradients, pieces, what each sends
//   update    weights: gradient exchange, then optimiser steps
// So pieces that end at one moment send one after the other, each to all of its receivers in the
// order of edges and receiving pieces; plan_engine.h relies on it.
#include "sim/simulate/lower.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "sim/simulate/blocks.h"
#include "sim/simulate/sync.h"

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
  Lowering(const Model& model, const Cluster& cluster, const Plan& plan, NetworkModel network,
           const PlanBlocks& blocks)
      : graph_(model.graph),
        cluster_(cluster),
        plan_(plan),
        network_(network),
        blocks_(blocks),
        out_{TaskGraph(resource_count(cluster)), {}, {}, {}, {}, {}} {}

  Lowered run() {
    forward_.resize(graph_.ops().size());
    backward_.resize(graph_.ops().size());
    inputs_.resize(graph_.ops().size());
    gradients_.resize(graph_.edges().size());
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
  TaskId add_transfer(TaskKind kind, DeviceId from, DeviceId to, Bytes bytes, MeetingEnd end) {
    const FifoTransfer transfer = fifo_transfer(cluster_, from, to, bytes, end);
    TaskId task;
    if (network_ == NetworkModel::kFair) {
      const Flow flow{route_id(from, to), bytes, cluster_.route(from, to).latency};
      task = out_.graph.add_flow(flow, transfer.link, transfer.duration);
    } else {
      task = out_.graph.add_task(transfer.link, transfer.duration);
    }
    out_.labels.push_back({kind, {}, 0, {}, {}, from, to, bytes});
    return task;
  }
  void note_edge_transfer(TaskId transfer, EdgeId edge, Bytes bytes) {
    out_.labels[transfer].edge = edge;
    out_.communication += bytes;
    out_.network += bytes;
  }
  RouteId route_id(DeviceId from, DeviceId to) {
    const auto [at, is_new] = route_ids_.try_emplace({from, to});
    if (is_new) {
      std::vector<ResourceId> links;
      for (const LinkId link : cluster_.route(from, to).links) {
        links.push_back(link_resource(cluster_, link));
      }
      at->second = out_.graph.routes().add(links, compute_resource(from), compute_resource(to));
    }
    return at->second;
  }
  // A moment that waits for many and releases many, on a resource of its own that never delays.
  TaskId add_barrier() {
    const TaskId task = out_.graph.add_task(barrier_resource(cluster_), Duration());
    out_.labels.push_back({TaskKind::kBarrier, {}, 0, {}, {}, {}, {}, {}});
    return task;
  }

  // A task that a piece waits for.
  struct Arrival {
    TaskId task;
    uint32_t piece;
  };

  void lower_forward(OpId op);
  void send_outputs(OpId op);
  void lower_backward(OpId op);
  void lower_sums(EdgeId edge);
  void send_gradients(OpId op);
  void lower_weights();
  void lower_weight(WeightId weight, TaskId all_backward);

  const OpGraph& graph_;
  const Cluster& cluster_;
  const Plan& plan_;
  NetworkModel network_;
  const PlanBlocks& blocks_;
  std::map<std::pair<DeviceId, DeviceId>, RouteId> route_ids_;
  Lowered out_;
  IdVector<OpId, std::vector<TaskId>> forward_;       // task of each piece; empty for inputs
  IdVector<OpId, std::vector<TaskId>> backward_;      // empty where there is no gradient
  IdVector<OpId, std::vector<Arrival>> inputs_;       // that each operator's pieces wait for
  IdVector<EdgeId, std::vector<Arrival>> gradients_;  // that its producer's pieces wait for
};

void Lowering::lower_forward(OpId op) {
  const OpBlock& block = blocks_.ops[op];
  for (uint32_t piece = 0; piece < block.forward.size(); ++piece) {
    forward_[op].push_back(add_compute(TaskKind::kForward, plan_.ops[op].devices[piece],
                                       block.forward[piece], op, piece));
  }
  for (const auto& [task, piece] : inputs_[op]) out_.graph.add_edge(task, forward_[op][piece]);
  send_outputs(op);
}

void Lowering::send_outputs(OpId op) {
  const std::vector<DeviceId>& devices = plan_.ops[op].devices;
  std::vector<PiecePairs> rows;
  for (const EdgeId edge : graph_.out_edges(op)) {
    rows.emplace_back(blocks_.edges[edge].pairs, devices.size());
  }
  for (uint32_t piece = 0; piece < forward_[op].size(); ++piece) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const EdgeId edge = graph_.out_edges(op)[i];
      const OpId consumer = graph_.edge(edge).consumer;
      for (const PiecePair& pair : rows[i].of_producer(piece)) {
        TaskId arrival = forward_[op][piece];
        if (!pair.local) {
          arrival = add_transfer(TaskKind::kForwardTransfer, devices[piece],
                                 plan_.ops[consumer].devices[pair.consumer_piece], pair.bytes,
                                 MeetingEnd::kSender);
          note_edge_transfer(arrival, edge, pair.bytes);
          out_.graph.add_edge(forward_[op][piece], arrival);
        }
        inputs_[consumer].push_back({arrival, pair.consumer_piece});
      }
    }
  }
}

// Where several consumers' pieces overlap in one producer piece, their gradients are summed first.
void Lowering::lower_sums(EdgeId edge) {
  const OpId producer = graph_.edge(edge).producer;
  if (backward_[graph_.edge(edge).consumer].empty()) return;
  std::vector<TaskId> sum_of(plan_.ops[producer].task_count());
  for (const GradientSum& sum : blocks_.edges[edge].sums) {
    const DeviceId device = plan_.ops[producer].devices[sum.producer_piece];
    const TaskId task =
        add_compute(TaskKind::kGradientSum, device, sum.duration, producer, sum.producer_piece);
    out_.labels[task].edge = edge;
    sum_of[sum.producer_piece] = task;
  }
  std::vector<Arrival> arrivals;
  for (const auto& [task, piece] : gradients_[edge]) {
    if (sum_of[piece].valid()) {
      out_.graph.add_edge(task, sum_of[piece]);
    } else {
      arrivals.push_back({task, piece});
    }
  }
  for (uint32_t piece = 0; piece < sum_of.size(); ++piece) {
    if (sum_of[piece].valid()) arrivals.push_back({sum_of[piece], piece});
  }
  gradients_[edge] = std::move(arrivals);
}

void Lowering::lower_backward(OpId op) {
  const OpBlock& block = blocks_.ops[op];
  if (block.backward.empty()) return;
  for (const EdgeId edge : graph_.out_edges(op)) lower_sums(edge);
  for (uint32_t piece = 0; piece < block.backward.size(); ++piece) {
    const TaskId task = add_compute(TaskKind::kBackward, plan_.ops[op].devices[piece],
                                    block.backward[piece], op, piece);
    backward_[op].push_back(task);
    out_.graph.add_edge(forward_[op][piece], task);
  }
  for (const EdgeId edge : graph_.out_edges(op)) {
    for (const auto& [task, piece] : gradients_[edge]) {
      out_.graph.add_edge(task, backward_[op][piece]);
    }
  }
  send_gradients(op);
}

void Lowering::send_gradients(OpId op) {
  const std::vector<DeviceId>& devices = plan_.ops[op].devices;
  std::vector<size_t> next(graph_.in_edges(op).size(), 0);  // pairs are by consumer piece
  for (uint32_t piece = 0; piece < devices.size(); ++piece) {
    for (size_t i = 0; i < next.size(); ++i) {
      const EdgeId edge = graph_.in_edges(op)[i];
      const OpId producer = graph_.edge(edge).producer;
      if (blocks_.ops[producer].backward.empty()) continue;
      const std::vector<PiecePair>& pairs = blocks_.edges[edge].pairs;
      for (; next[i] < pairs.size() && pairs[next[i]].consumer_piece == piece; ++next[i]) {
        const PiecePair& pair = pairs[next[i]];
        TaskId arrival = backward_[op][piece];
        if (!pair.local) {
          arrival = add_transfer(TaskKind::kBackwardTransfer, devices[piece],
                                 plan_.ops[producer].devices[pair.producer_piece], pair.bytes,
                                 MeetingEnd::kReceiver);
          note_edge_transfer(arrival, edge, pair.bytes);
          out_.graph.add_edge(backward_[op][piece], arrival);
        }
        gradients_[edge].push_back({arrival, pair.producer_piece});
      }
    }
  }
}

void Lowering::lower_weights() {
  TaskId all_backward;
  if (has_backward_barrier(plan_.sync)) {
    all_backward = add_barrier();
    for (const auto& tasks : backward_) {
      for (const TaskId task : tasks) out_.graph.add_edge(task, all_backward);
    }
  }
  // Last layers first: their gradients are ready first.
  for (size_t i = graph_.weights().size(); i-- > 0;) {
    lower_weight(WeightId::from_index(i), all_backward);
  }
}

void Lowering::lower_weight(WeightId weight, TaskId all_backward) {
  const SyncBlock& block = blocks_.weights[weight];
  std::vector<TaskId> tasks;
  tasks.reserve(block.tasks.size());
  for (const SyncTask& sync : block.tasks) {
    TaskId task;
    if (sync.kind == TaskKind::kSyncTransfer) {
      task = add_transfer(sync.kind, sync.from, sync.to, sync.bytes, sync.end);
    } else if (sync.kind == TaskKind::kUpdate) {
      task = add_compute(sync.kind, sync.from, sync.duration, {}, 0);
    } else {
      task = add_barrier();
    }
    out_.labels[task].weight = weight;
    for (const uint32_t earlier : block.after_of(sync)) out_.graph.add_edge(tasks[earlier], task);
    for (const auto& [op, piece] : block.contributors_of(sync)) {
      out_.graph.add_edge(backward_[op][piece], task);
    }
    if (sync.after_all_backward) out_.graph.add_edge(all_backward, task);
    tasks.push_back(task);
  }
  out_.serial_sync += block.serial;
  out_.communication += block.communication;
  out_.network += block.network;
}

}  // namespace

Lowered lower(const Model& model, const Cluster& cluster, const Plan& plan, NetworkModel network,
              const PlanBlocks& blocks) {
  return Lowering(model, cluster, plan, network, blocks).run();
}

Lowered lower(const Model& model, const Cluster& cluster, const Costs& costs, const Plan& plan,
              NetworkModel network) {
  return lower(model, cluster, plan, network,
               make_plan_blocks(model.graph, cluster, costs, plan, network));
}

}  // namespace soapbox
