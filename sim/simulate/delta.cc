#include "sim/simulate/delta.h"

#include <algorithm>
#include <utility>

#include "sim/simulate/lower.h"

namespace soapbox {

namespace {

template <class Id>
void make_unique(std::vector<Id>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

}  // namespace

DeltaSimulation::DeltaSimulation(const Problem& problem)
    : problem_(problem),
      transfers_(problem.cluster),
      engine_(problem.model.graph, problem.cluster),
      bounds_(problem.model.graph, problem.cluster),
      demands_(problem.cluster) {}

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

void DeltaSimulation::make_parts(const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  const auto& [model, cluster, costs, options] = problem_;
  op_parts_.clear();
  edge_parts_.clear();
  weight_parts_.clear();
  for (const OpId op : touched_ops_) {
    OpPart& part = op_parts_.emplace_back();
    part.block = make_op_block(graph.op(op), plan.ops[op], cluster, costs);
    part.profile = make_op_profile(part.block, plan.ops[op], demands_);
  }
  for (const EdgeId id : touched_edges_) {
    const auto& [producer, consumer, input] = graph.edge(id);
    EdgePart& part = edge_parts_.emplace_back();
    part.block = make_edge_block(graph, id, plan.ops[producer], plan.ops[consumer], cluster, costs);
    const bool backward = has_backward(graph.op(producer)) && has_backward(graph.op(consumer));
    part.sends =
        sender_.make(part.block, plan.ops[producer], plan.ops[consumer], backward, transfers_);
    part.profile = make_edge_profile(part.block, part.sends, plan.ops[producer], demands_);
  }
  for (const WeightId weight : touched_weights_) {
    WeightPart& part = weight_parts_.emplace_back();
    const std::span<const OpId> users = graph.users(weight);
    part.block = make_sync_block(graph, weight, plan, cluster, costs, options.network);
    part.sends = make_sync_sends(part.block, users, plan, cluster, transfers_);
    part.profile = make_sync_profile(part.block, part.sends, users.size(), demands_);
  }
}

// Between what is current and what is pending, either way.
void DeltaSimulation::exchange_parts() {
  for (size_t i = 0; i < touched_ops_.size(); ++i) {
    std::swap(blocks_.ops[touched_ops_[i]], op_parts_[i].block);
    std::swap(bounds_.ops[touched_ops_[i]], op_parts_[i].profile);
  }
  for (size_t i = 0; i < touched_edges_.size(); ++i) {
    std::swap(blocks_.edges[touched_edges_[i]], edge_parts_[i].block);
    std::swap(sends_.edges[touched_edges_[i]], edge_parts_[i].sends);
    std::swap(bounds_.edges[touched_edges_[i]], edge_parts_[i].profile);
  }
  for (size_t i = 0; i < touched_weights_.size(); ++i) {
    const WeightId weight = touched_weights_[i];
    serial_ = serial_ - blocks_.weights[weight].serial;
    std::swap(blocks_.weights[weight], weight_parts_[i].block);
    std::swap(sends_.weights[weight], weight_parts_[i].sends);
    std::swap(bounds_.weights[weight], weight_parts_[i].profile);
    serial_ += blocks_.weights[weight].serial;
  }
}

Duration DeltaSimulation::reset(const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  blocks_.ops.assign(graph.ops().size(), {});
  blocks_.edges.assign(graph.edges().size(), {});
  blocks_.weights.assign(graph.weights().size(), {});
  sends_.edges.assign(graph.edges().size(), {});
  sends_.weights.assign(graph.weights().size(), {});
  bounds_ = PlanBounds(graph, problem_.cluster);
  serial_ = Duration();
  std::vector<OpId> all;
  for (const OpId op : graph.ops().ids()) all.push_back(op);
  touch(all);
  make_parts(plan);
  exchange_parts();
  if (shares_links()) return run_flows(plan);
  return engine_.run(plan, blocks_, sends_) - SimTime() + serial_;
}

std::optional<Duration> DeltaSimulation::propose(const Plan& plan, std::span<const OpId> changed,
                                                 std::optional<Duration> limit) {
  touch(changed);
  make_parts(plan);
  exchange_parts();
  if (limit) {
    const Duration left = *limit - serial_;
    if (left < Duration()) return std::nullopt;
    const Duration enough = shares_links() ? Duration(INT64_MAX) : left;
    const Duration bound = bounds_.compute(enough).value;
    if (rounded_down(bound, problem_.options.network) > left) return std::nullopt;
  }
  if (shares_links()) {
    const Duration time = run_flows(plan);
    if (limit && time > *limit) return std::nullopt;
    return time;
  }
  if (!limit) return engine_.run(plan, blocks_, sends_) - SimTime() + serial_;
  const std::optional<SimTime> makespan =
      engine_.run(plan, blocks_, sends_, bounds_.tails(), SimTime() + (*limit - serial_));
  if (!makespan) return std::nullopt;
  return *makespan - SimTime() + serial_;
}

Duration DeltaSimulation::run_flows(const Plan& plan) {
  const Lowered lowered =
      lower(problem_.model, problem_.cluster, plan, NetworkModel::kFair, blocks_);
  flow_engine_.run(lowered.graph, shared_network(problem_.cluster, problem_.options), timeline_);
  return timeline_.makespan - SimTime() + serial_;
}

void DeltaSimulation::accept() {}

void DeltaSimulation::reject() {
  exchange_parts();
}

}  // namespace soapbox
