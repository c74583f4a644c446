#include "sim/simulate/delta.h"

#include <algorithm>
#include <utility>

#include "sim/simulate/lower.h"

namespace soapbox {

namespace {

constexpr SimTime kNoLimit = SimTime(INT64_MAX);

template <class Id>
void make_unique(std::vector<Id>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

bool has_sender_copies(const Cluster& cluster) {
  return std::any_of(cluster.links().begin(), cluster.links().end(),
                     [](const Link& link) { return link.copied_by_sender; });
}

}  // namespace

DeltaSimulation::DeltaSimulation(const Problem& problem)
    : problem_(problem),
      transfers_(problem.cluster),
      engine_(problem.model.graph, problem.cluster),
      runs_task_graphs_(problem.options.network == NetworkModel::kFair ||
                        has_sender_copies(problem.cluster)),
      bounds_(problem.model.graph, problem.cluster),
      demands_(problem.cluster),
      edge_shapes_(edge_shapes(problem.model.graph)) {}

// Operators whose configuration changed, and every edge and weight that they touch.
void DeltaSimulation::touch(std::span<const OpId> changed) {
  const OpGraph& graph = problem_.model.graph;
  touched_ops_.assign(changed.begin(), changed.end());
  make_unique(touched_ops_);
  touched_edges_.clear();
  touched_weights_.clear();
  for (const OpId op : touched_ops_) {
    for (const EdgeId edge : graph.in_edges(op)) touched_edges_.push_back(edge);
    for (const EdgeId edge : graph.out_edges(op)) touched_edges_.push_back(edge);
    for (const WeightUse& use : graph.op(op).weights) touched_weights_.push_back(use.weight);
  }
  make_unique(touched_edges_);
  make_unique(touched_weights_);
}

void DeltaSimulation::make_ops(const Plan& plan) {
  const auto& [model, cluster, costs, options] = problem_;
  op_parts_.clear();
  for (const OpId op : touched_ops_) {
    OpPart& part = op_parts_.emplace_back();
    part.block = make_op_block(model.graph.op(op), plan.ops[op], cluster, costs);
    part.profile = make_op_profile(part.block, plan.ops[op], demands_);
  }
}

DeltaSimulation::EdgePart DeltaSimulation::make_edge(EdgeId edge, const Plan& plan) {
  const auto& [model, cluster, costs, options] = problem_;
  const auto& [from, to, input] = model.graph.edge(edge);
  const OpConfig& producer = plan.ops[from];
  const OpConfig& consumer = plan.ops[to];
  make_edge_block(model.graph, edge, producer, consumer, cluster, costs, edge_block_);
  const bool backward = has_backward(model.graph.op(from)) && has_backward(model.graph.op(to));
  EdgePart part;
  part.sends = std::make_shared<const EdgeSends>(
      sender_.make(edge_block_, producer, consumer, backward, transfers_));
  part.profile = make_edge_profile(edge_block_, *part.sends, producer, demands_);
  part.memory = std::make_shared<const EdgeMemory>(
      make_edge_memory(model.graph, edge, edge_block_, producer, consumer));
  part.block.sums = edge_block_.sums;
  if (runs_task_graphs_) part.block.pairs = edge_block_.pairs;  // lower() reads them
  return part;
}

void DeltaSimulation::make_edges(const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  edge_parts_.clear();
  part_of_shape_.assign(graph.edges().size(), UINT32_MAX);
  for (uint32_t i = 0; i < touched_edges_.size(); ++i) {
    const Edge& edge = graph.edge(touched_edges_[i]);
    const uint32_t last = std::exchange(part_of_shape_[edge_shapes_[touched_edges_[i]]], i);
    if (last != UINT32_MAX) {
      const Edge& like = graph.edge(touched_edges_[last]);
      if (plan.ops[edge.producer] == plan.ops[like.producer] &&
          plan.ops[edge.consumer] == plan.ops[like.consumer]) {
        edge_parts_.push_back(EdgePart(edge_parts_[last]));
        continue;
      }
    }
    edge_parts_.push_back(make_edge(touched_edges_[i], plan));
  }
}

void DeltaSimulation::make_weights(const Plan& plan) {
  const auto& [model, cluster, costs, options] = problem_;
  weight_parts_.clear();
  for (const WeightId weight : touched_weights_) {
    WeightPart& part = weight_parts_.emplace_back();
    const std::span<const OpId> users = model.graph.users(weight);
    part.block = make_sync_block(model.graph, weight, plan, cluster, costs, options.network);
    part.sends = make_sync_sends(part.block, users, plan, cluster, transfers_);
    part.profile = make_sync_profile(part.block, part.sends, users.size(), demands_);
  }
}

// What is current and what is pending change places, either way.
void DeltaSimulation::exchange_ops() {
  for (size_t i = 0; i < touched_ops_.size(); ++i) {
    std::swap(blocks_.ops[touched_ops_[i]], op_parts_[i].block);
    std::swap(bounds_.ops[touched_ops_[i]], op_parts_[i].profile);
  }
}

void DeltaSimulation::exchange_profiles() {
  for (size_t i = 0; i < touched_edges_.size(); ++i) {
    std::swap(bounds_.edges[touched_edges_[i]], edge_parts_[i].profile);
  }
  for (size_t i = 0; i < touched_weights_.size(); ++i) {
    std::swap(bounds_.weights[touched_weights_[i]], weight_parts_[i].profile);
  }
}

void DeltaSimulation::exchange_edges_and_weights() {
  exchange_profiles();
  for (size_t i = 0; i < touched_edges_.size(); ++i) {
    std::swap(blocks_.edges[touched_edges_[i]], edge_parts_[i].block);
    std::swap(sends_.edges[touched_edges_[i]], edge_parts_[i].sends);
    std::swap(edge_memory_[touched_edges_[i]], edge_parts_[i].memory);
  }
  for (size_t i = 0; i < touched_weights_.size(); ++i) {
    const WeightId weight = touched_weights_[i];
    serial_ = serial_ - blocks_.weights[weight].serial;
    std::swap(blocks_.weights[weight], weight_parts_[i].block);
    std::swap(sends_.weights[weight], weight_parts_[i].sends);
    serial_ += blocks_.weights[weight].serial;
  }
}

bool DeltaSimulation::exceeds(Duration limit) {
  if (limit < Duration()) return true;
  const Duration enough = runs_task_graphs_ ? Duration(INT64_MAX) : limit;
  return rounded_down(bounds_.compute(enough).value, problem_.options.network) > limit;
}

// Whether the touched operators and all that is not touched take longer already, whatever the
// touched edges and weights add. REQUIRES: the operators are exchanged.
bool DeltaSimulation::ops_exceed(Duration limit) {
  edge_parts_.assign(touched_edges_.size(), {});
  weight_parts_.assign(touched_weights_.size(), {});
  exchange_profiles();  // for profiles that ask for nothing and promise nothing
  Duration serial = serial_;
  for (const WeightId weight : touched_weights_) serial = serial - blocks_.weights[weight].serial;
  const bool result = exceeds(limit - serial);
  exchange_profiles();
  return result;
}

Duration DeltaSimulation::reset(const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  blocks_.ops.assign(graph.ops().size(), {});
  blocks_.edges.assign(graph.edges().size(), {});
  blocks_.weights.assign(graph.weights().size(), {});
  sends_.edges.assign(graph.edges().size(), {});
  sends_.weights.assign(graph.weights().size(), {});
  bounds_ = PlanBounds(graph, problem_.cluster);
  edge_memory_.assign(graph.edges().size(), {});
  serial_ = Duration();
  std::vector<OpId> all;
  for (const OpId op : graph.ops().ids()) all.push_back(op);
  touch(all);
  make_ops(plan);
  exchange_ops();
  make_edges(plan);
  make_weights(plan);
  exchange_edges_and_weights();
  pending_ = Pending::kNothing;
  if (runs_task_graphs_) return *run_task_graph(plan, kNoLimit) - SimTime() + serial_;
  return engine_.run(plan, blocks_, sends_) - SimTime() + serial_;
}

std::optional<Duration> DeltaSimulation::propose(const Plan& plan, std::span<const OpId> changed,
                                                 std::optional<Duration> limit) {
  touch(changed);
  make_ops(plan);
  exchange_ops();
  pending_ = Pending::kOps;
  if (limit && ops_exceed(*limit)) return std::nullopt;
  make_edges(plan);
  make_weights(plan);
  exchange_edges_and_weights();
  pending_ = Pending::kAll;
  if (limit && exceeds(*limit - serial_)) return std::nullopt;
  const SimTime last = limit ? SimTime() + (*limit - serial_) : kNoLimit;
  const std::optional<SimTime> makespan =
      runs_task_graphs_ ? run_task_graph(plan, last)
      : limit           ? engine_.run(plan, blocks_, sends_, bounds_.tails(), last)
                        : engine_.run(plan, blocks_, sends_);
  if (!makespan) return std::nullopt;
  return *makespan - SimTime() + serial_;
}

// The makespan; nothing if it exceeds the limit.
std::optional<SimTime> DeltaSimulation::run_task_graph(const Plan& plan, SimTime limit) {
  const NetworkModel network = problem_.options.network;
  const Lowered lowered = lower(problem_.model, problem_.cluster, plan, network, blocks_);
  if (network == NetworkModel::kFair) {
    const Network links = shared_network(problem_.cluster, problem_.options);
    if (!flow_engine_.run_until(limit, lowered.graph, links, timeline_)) return std::nullopt;
  } else {
    fifo_engine_.run(lowered.graph, timeline_);
    if (timeline_.makespan > limit) return std::nullopt;
  }
  return timeline_.makespan;
}

Bytes DeltaSimulation::excess(const Plan& plan) const {
  const Cluster& cluster = problem_.cluster;
  const IdVector<DeviceId, Bytes> bound =
      memory_bound(problem_.model.graph, cluster, plan, edge_memory_, blocks_.weights);
  bool fits = true;
  for (const DeviceId device : bound.ids()) {
    fits &= bound[device] + problem_.options.reserved <= cluster.hardware_of(device).memory;
  }
  if (fits) return Bytes();
  const auto peaks = simulate(problem_, plan, MemoryCheck::kRegardless).peaks;
  const auto reason = out_of_memory(cluster, problem_.options.reserved, peaks);
  return reason ? reason->needed - reason->available : Bytes();
}

void DeltaSimulation::accept() {
  pending_ = Pending::kNothing;
}

void DeltaSimulation::reject() {
  if (pending_ != Pending::kNothing) exchange_ops();
  if (pending_ == Pending::kAll) exchange_edges_and_weights();
  pending_ = Pending::kNothing;
}

}  // namespace soapbox
