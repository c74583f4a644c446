#include "sim/simulate/delta.h"

#include <algorithm>

namespace soapbox {

namespace {

// The structural order of lower(), as bits: phase (2) | operator or weight (20) | 0 arrivals, 1
// pieces (1) | edge (11) | 0 transfers, 1 sums (1) | index (29).
enum class Phase : uint64_t { kForward, kBackward, kWeights };

uint64_t make_key(Phase phase, size_t rank, bool pieces, size_t edge, bool sums, size_t index) {
  SOAPBOX_CHECK(rank < (size_t{1} << 20), "too many operators");
  SOAPBOX_CHECK(edge < (size_t{1} << 11), "too many edges on one operator");
  SOAPBOX_CHECK(index < (size_t{1} << 29), "too many tasks in one block");
  return static_cast<uint64_t>(phase) << 62 | rank << 42 | uint64_t{pieces} << 41 | edge << 30 |
         uint64_t{sums} << 29 | index;
}

template <class Id>
void make_unique(std::vector<Id>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

size_t ordinal_of(std::span<const EdgeId> edges, EdgeId edge) {
  return static_cast<size_t>(std::find(edges.begin(), edges.end(), edge) - edges.begin());
}

}  // namespace

DeltaSimulation::DeltaSimulation(const Problem& problem)
    : problem_(problem),
      engine_(resource_count(problem.cluster)),
      bounds_(problem.model.graph, problem.cluster) {}

TaskId DeltaSimulation::add_compute(uint64_t key, DeviceId device, Duration duration) {
  return engine_.add_task(key, compute_resource(device), duration);
}

TaskId DeltaSimulation::add_transfer(uint64_t key, DeviceId from, DeviceId to, Bytes bytes,
                                     MeetingEnd end) {
  const FifoTransfer transfer = fifo_transfer(problem_.cluster, from, to, bytes, end);
  return engine_.add_task(key, transfer.link, transfer.duration);
}

void DeltaSimulation::build_op(OpId op, const Plan& plan, const OpBlock& block) {
  const OpGraph& graph = problem_.model.graph;
  const OpConfig& config = plan.ops[op];
  const size_t reverse = graph.ops().size() - 1 - op.index();
  OpState& state = ops_[op];
  for (size_t piece = 0; piece < block.forward.size(); ++piece) {
    state.forward.push_back(
        add_compute(make_key(Phase::kForward, op.index(), true, 0, false, piece),
                    config.devices[piece], block.forward[piece]));
  }
  for (size_t piece = 0; piece < block.backward.size(); ++piece) {
    state.backward.push_back(add_compute(make_key(Phase::kBackward, reverse, true, 0, false, piece),
                                         config.devices[piece], block.backward[piece]));
    engine_.add_edge(state.forward[piece], state.backward[piece]);
    if (all_backward_.valid()) engine_.add_edge(state.backward[piece], all_backward_);
  }
}

void DeltaSimulation::build_edge(EdgeId edge, const Plan& plan, const EdgeBlock& block) {
  const OpGraph& graph = problem_.model.graph;
  const auto& [producer, consumer, input] = graph.edge(edge);
  const size_t ordinal = ordinal_of(graph.in_edges(consumer), edge);
  size_t transfers = 0;
  for (const PiecePair& pair : block.pairs) {
    const TaskId from = ops_[producer].forward[pair.producer_piece];
    const TaskId to = ops_[consumer].forward[pair.consumer_piece];
    if (pair.local) {
      engine_.add_edge(from, to);
      continue;
    }
    const TaskId transfer = add_transfer(
        make_key(Phase::kForward, consumer.index(), false, ordinal, false, transfers++),
        plan.ops[producer].devices[pair.producer_piece],
        plan.ops[consumer].devices[pair.consumer_piece], pair.bytes, MeetingEnd::kSender);
    engine_.add_edge(from, transfer);
    engine_.add_edge(transfer, to);
    edges_[edge].push_back(transfer);
  }
  if (!ops_[producer].backward.empty() && !ops_[consumer].backward.empty()) {
    build_edge_backward(edge, plan, block);
  }
}

void DeltaSimulation::build_edge_backward(EdgeId edge, const Plan& plan, const EdgeBlock& block) {
  const OpGraph& graph = problem_.model.graph;
  const auto& [producer, consumer, input] = graph.edge(edge);
  const size_t rank = graph.ops().size() - 1 - producer.index();
  const size_t ordinal = ordinal_of(graph.out_edges(producer), edge);
  const std::vector<TaskId>& targets = ops_[producer].backward;
  std::vector<TaskId> arrival = targets;  // what a partial gradient flows into: a sum, or the piece
  size_t sums = 0;
  for (const GradientSum& sum : block.sums) {
    const TaskId task = add_compute(make_key(Phase::kBackward, rank, false, ordinal, true, sums++),
                                    plan.ops[producer].devices[sum.producer_piece], sum.duration);
    engine_.add_edge(task, targets[sum.producer_piece]);
    arrival[sum.producer_piece] = task;
    edges_[edge].push_back(task);
  }
  size_t transfers = 0;
  for (const PiecePair& pair : block.pairs) {
    const TaskId from = ops_[consumer].backward[pair.consumer_piece];
    const TaskId to = arrival[pair.producer_piece];
    if (pair.local) {
      engine_.add_edge(from, to);
      continue;
    }
    const TaskId transfer = add_transfer(
        make_key(Phase::kBackward, rank, false, ordinal, false, transfers++),
        plan.ops[consumer].devices[pair.consumer_piece],
        plan.ops[producer].devices[pair.producer_piece], pair.bytes, MeetingEnd::kReceiver);
    engine_.add_edge(from, transfer);
    engine_.add_edge(transfer, to);
    edges_[edge].push_back(transfer);
  }
}

void DeltaSimulation::build_weight(WeightId weight, const SyncBlock& block) {
  std::vector<TaskId>& tasks = weights_[weight];
  const size_t rank = weights_.size() - weight.index();  // 0 is the barrier of all
  for (const SyncTask& sync : block.tasks) {
    const uint64_t key = make_key(Phase::kWeights, rank, false, 0, false, tasks.size());
    TaskId task;
    if (sync.kind == TaskKind::kSyncTransfer) {
      task = add_transfer(key, sync.from, sync.to, sync.bytes, sync.end);
    } else if (sync.kind == TaskKind::kUpdate) {
      task = add_compute(key, sync.from, sync.duration);
    } else {
      task = engine_.add_task(key, barrier_resource(problem_.cluster), Duration());
    }
    for (const uint32_t earlier : block.after_of(sync)) engine_.add_edge(tasks[earlier], task);
    for (const auto& [op, piece] : block.contributors_of(sync)) {
      engine_.add_edge(ops_[op].backward[piece], task);
    }
    if (sync.after_all_backward) engine_.add_edge(all_backward_, task);
    tasks.push_back(task);
  }
}

void DeltaSimulation::make_blocks(const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  blocks_ = {};
  for (const OpId op : touched_ops_) {
    blocks_.ops.push_back(
        make_op_block(graph.op(op), plan.ops[op], problem_.cluster, problem_.costs));
  }
  for (const EdgeId id : touched_edges_) {
    const Edge& edge = graph.edge(id);
    blocks_.edges.push_back(make_edge_block(graph, id, plan.ops[edge.producer],
                                            plan.ops[edge.consumer], problem_.cluster,
                                            problem_.costs));
  }
  for (const WeightId weight : touched_weights_) {
    blocks_.weights.push_back(make_sync_block(graph, weight, plan, problem_.cluster, problem_.costs,
                                              problem_.options.network));
  }
}

void DeltaSimulation::exchange_profiles(const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  const Cluster& cluster = problem_.cluster;
  for (size_t i = 0; i < touched_ops_.size(); ++i) {
    const OpId op = touched_ops_[i];
    before_.op_profiles.push_back(
        std::exchange(bounds_.ops[op], make_op_profile(blocks_.ops[i], plan.ops[op])));
  }
  for (size_t i = 0; i < touched_edges_.size(); ++i) {
    const Edge& edge = graph.edge(touched_edges_[i]);
    before_.edge_profiles.push_back(
        std::exchange(bounds_.edges[touched_edges_[i]],
                      make_edge_profile(blocks_.edges[i], plan.ops[edge.producer],
                                        plan.ops[edge.consumer], cluster)));
  }
  for (size_t i = 0; i < touched_weights_.size(); ++i) {
    const WeightId weight = touched_weights_[i];
    before_.weight_profiles.push_back(
        std::exchange(bounds_.weights[weight],
                      make_sync_profile(blocks_.weights[i], graph.users(weight).size(), cluster)));
  }
}

void DeltaSimulation::restore_profiles() {
  for (size_t i = 0; i < touched_ops_.size(); ++i) {
    bounds_.ops[touched_ops_[i]] = std::move(before_.op_profiles[i]);
  }
  for (size_t i = 0; i < touched_edges_.size(); ++i) {
    bounds_.edges[touched_edges_[i]] = std::move(before_.edge_profiles[i]);
  }
  for (size_t i = 0; i < touched_weights_.size(); ++i) {
    bounds_.weights[touched_weights_[i]] = std::move(before_.weight_profiles[i]);
  }
}

void DeltaSimulation::build_tasks(const Plan& plan) {
  for (size_t i = 0; i < touched_ops_.size(); ++i) build_op(touched_ops_[i], plan, blocks_.ops[i]);
  for (size_t i = 0; i < touched_edges_.size(); ++i) {
    build_edge(touched_edges_[i], plan, blocks_.edges[i]);
  }
  for (size_t i = 0; i < touched_weights_.size(); ++i) {
    build_weight(touched_weights_[i], blocks_.weights[i]);
  }
}

Duration DeltaSimulation::reset(const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  engine_ = DeltaEngine(resource_count(problem_.cluster));
  bounds_ = PlanBounds(graph, problem_.cluster);
  ops_.assign(graph.ops().size(), {});
  edges_.assign(graph.edges().size(), {});
  weights_.assign(graph.weights().size(), {});
  all_backward_ = {};
  if (has_backward_barrier(plan.sync)) {
    all_backward_ = engine_.add_task(make_key(Phase::kWeights, 0, false, 0, false, 0),
                                     barrier_resource(problem_.cluster), Duration());
  }
  std::vector<OpId> all;
  for (const OpId op : graph.ops().ids()) all.push_back(op);
  touch(all);
  make_blocks(plan);
  exchange_profiles(plan);
  before_ = {};
  serial_ = Duration();
  for (const SyncBlock& block : blocks_.weights) serial_ += block.serial;
  if (shares_links()) return run_flows(plan);
  build_tasks(plan);
  const std::optional<SimTime> makespan = engine_.repair();
  engine_.commit();
  return *makespan - SimTime() + serial_;
}

void DeltaSimulation::remove_all(std::span<const TaskId> tasks) {
  for (const TaskId task : tasks) engine_.remove_task(task);
}

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

void DeltaSimulation::remove_tasks() {
  for (const OpId op : touched_ops_) {
    remove_all(ops_[op].forward);
    remove_all(ops_[op].backward);
    before_.ops.push_back(std::exchange(ops_[op], {}));
  }
  for (const EdgeId edge : touched_edges_) {
    remove_all(edges_[edge]);
    before_.edges.push_back(std::exchange(edges_[edge], {}));
  }
  for (const WeightId weight : touched_weights_) {
    remove_all(weights_[weight]);
    before_.weights.push_back(std::exchange(weights_[weight], {}));
  }
}

std::optional<Duration> DeltaSimulation::propose(const Plan& plan, std::span<const OpId> changed,
                                                 std::optional<Duration> limit) {
  touch(changed);
  make_blocks(plan);
  exchange_profiles(plan);
  serial_before_ = serial_;
  for (size_t i = 0; i < touched_weights_.size(); ++i) {
    serial_ = serial_ - before_.weight_profiles[i].serial + blocks_.weights[i].serial;
  }
  edited_ = false;
  std::optional<SimTime> makespan_limit;
  if (limit) {
    if (serial_ > *limit) return std::nullopt;
    makespan_limit = SimTime() + (*limit - serial_);
    const Duration enough = shares_links() ? Duration(INT64_MAX) : *limit - serial_;
    const Duration bound = bounds_.compute(enough).value;
    if (rounded_down(bound, problem_.options.network) > *limit - serial_) return std::nullopt;
  }
  if (shares_links()) {
    const Duration time = run_flows(plan);
    if (limit && time > *limit) return std::nullopt;
    return time;
  }
  edited_ = true;
  remove_tasks();
  build_tasks(plan);
  const std::optional<SimTime> makespan = engine_.repair(makespan_limit);
  if (!makespan) return std::nullopt;
  return *makespan - SimTime() + serial_;
}

Duration DeltaSimulation::run_flows(const Plan& plan) {
  const Lowered lowered =
      lower(problem_.model, problem_.cluster, problem_.costs, plan, NetworkModel::kFair);
  flow_engine_.run(lowered.graph, shared_network(problem_.cluster, problem_.options), timeline_);
  return timeline_.makespan - SimTime() + serial_;
}

void DeltaSimulation::accept() {
  if (!shares_links()) engine_.commit();
  before_ = {};
}

void DeltaSimulation::reject() {
  restore_profiles();
  serial_ = serial_before_;
  if (edited_) {
    engine_.rollback();
    for (size_t i = 0; i < touched_ops_.size(); ++i) {
      ops_[touched_ops_[i]] = std::move(before_.ops[i]);
    }
    for (size_t i = 0; i < touched_edges_.size(); ++i) {
      edges_[touched_edges_[i]] = std::move(before_.edges[i]);
    }
    for (size_t i = 0; i < touched_weights_.size(); ++i) {
      weights_[touched_weights_[i]] = std::move(before_.weights[i]);
    }
  }
  before_ = {};
}

std::vector<DeltaSimulation::TaskTimes> DeltaSimulation::timeline() const {
  std::vector<TaskTimes> times;
  const auto add = [&](TaskId task) {
    times.push_back(
        {engine_.key(task), engine_.ready(task), engine_.start(task), engine_.end(task)});
  };
  for (const OpState& state : ops_) {
    for (const TaskId task : state.forward) add(task);
    for (const TaskId task : state.backward) add(task);
  }
  for (const std::vector<TaskId>& tasks : edges_) {
    for (const TaskId task : tasks) add(task);
  }
  for (const std::vector<TaskId>& tasks : weights_) {
    for (const TaskId task : tasks) add(task);
  }
  if (all_backward_.valid()) add(all_backward_);
  std::sort(times.begin(), times.end(),
            [](const TaskTimes& a, const TaskTimes& b) { return a.key < b.key; });
  return times;
}

}  // namespace soapbox
