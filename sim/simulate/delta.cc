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
    : problem_(problem), engine_(resource_count(problem.cluster)) {}

TaskId DeltaSimulation::add_compute(uint64_t key, DeviceId device, Duration duration) {
  return engine_.add_task(key, compute_resource(device), duration);
}

TaskId DeltaSimulation::add_transfer(uint64_t key, DeviceId from, DeviceId to, Bytes bytes) {
  const Route route = problem_.cluster.route(from, to);
  return engine_.add_task(key, link_resource(problem_.cluster, route.bottleneck),
                          bytes / route.bandwidth);
}

void DeltaSimulation::build_op(OpId op, const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  const OpConfig& config = plan.ops[op];
  const OpBlock block = make_op_block(graph.op(op), config, problem_.cluster, problem_.costs);
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

void DeltaSimulation::build_edge(EdgeId edge, const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  const auto& [producer, consumer, input] = graph.edge(edge);
  const EdgeBlock block = make_edge_block(graph, edge, plan.ops[producer], plan.ops[consumer],
                                          problem_.cluster, problem_.costs);
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
        plan.ops[consumer].devices[pair.consumer_piece], pair.bytes);
    engine_.add_edge(from, transfer);
    engine_.add_edge(transfer, to);
    edges_[edge].tasks.push_back(transfer);
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
    edges_[edge].tasks.push_back(task);
  }
  size_t transfers = 0;
  for (const PiecePair& pair : block.pairs) {
    const TaskId from = ops_[consumer].backward[pair.consumer_piece];
    const TaskId to = arrival[pair.producer_piece];
    if (pair.local) {
      engine_.add_edge(from, to);
      continue;
    }
    const TaskId transfer =
        add_transfer(make_key(Phase::kBackward, rank, false, ordinal, false, transfers++),
                     plan.ops[consumer].devices[pair.consumer_piece],
                     plan.ops[producer].devices[pair.producer_piece], pair.bytes);
    engine_.add_edge(from, transfer);
    engine_.add_edge(transfer, to);
    edges_[edge].tasks.push_back(transfer);
  }
}

void DeltaSimulation::build_weight(WeightId weight, const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  const SyncBlock block = make_sync_block(graph, weight, plan, problem_.cluster, problem_.costs);
  TaskSet& set = weights_[weight];
  set.serial = block.serial;
  const size_t rank = graph.weights().size() - weight.index();  // 0 is the barrier of all
  for (const SyncTask& sync : block.tasks) {
    const uint64_t key = make_key(Phase::kWeights, rank, false, 0, false, set.tasks.size());
    TaskId task;
    if (sync.kind == TaskKind::kSyncTransfer) {
      task = add_transfer(key, sync.from, sync.to, sync.bytes);
    } else if (sync.kind == TaskKind::kUpdate) {
      task = add_compute(key, sync.from, sync.duration);
    } else {
      task = engine_.add_task(key, barrier_resource(problem_.cluster), Duration());
    }
    for (const uint32_t earlier : block.after_of(sync)) engine_.add_edge(set.tasks[earlier], task);
    for (const auto& [op, piece] : block.contributors_of(sync)) {
      engine_.add_edge(ops_[op].backward[piece], task);
    }
    if (sync.after_all_backward) engine_.add_edge(all_backward_, task);
    set.tasks.push_back(task);
  }
}

Duration DeltaSimulation::iteration_time(SimTime makespan) const {
  Duration total = makespan - SimTime();
  for (const TaskSet& set : weights_) total += set.serial;
  return total;
}

Duration DeltaSimulation::reset(const Plan& plan) {
  const OpGraph& graph = problem_.model.graph;
  engine_ = DeltaEngine(resource_count(problem_.cluster));
  ops_.assign(graph.ops().size(), {});
  edges_.assign(graph.edges().size(), {});
  weights_.assign(graph.weights().size(), {});
  all_backward_ = {};
  if (plan.sync == SyncMode::kBulk) {
    all_backward_ = engine_.add_task(make_key(Phase::kWeights, 0, false, 0, false, 0),
                                     barrier_resource(problem_.cluster), Duration());
  }
  for (const OpId op : graph.ops().ids()) build_op(op, plan);
  for (const EdgeId edge : graph.edges().ids()) build_edge(edge, plan);
  for (const WeightId weight : graph.weights().ids()) build_weight(weight, plan);
  const std::optional<SimTime> makespan = engine_.repair();
  engine_.commit();
  return iteration_time(*makespan);
}

void DeltaSimulation::remove_all(std::span<const TaskId> tasks) {
  for (const TaskId task : tasks) engine_.remove_task(task);
}

void DeltaSimulation::collect_touched(std::span<const OpId> changed) {
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

std::optional<Duration> DeltaSimulation::propose(const Plan& plan, std::span<const OpId> changed,
                                                 std::optional<Duration> limit) {
  collect_touched(changed);
  for (const OpId op : touched_ops_) {
    remove_all(ops_[op].forward);
    remove_all(ops_[op].backward);
    old_ops_.push_back(std::exchange(ops_[op], {}));
  }
  for (const EdgeId edge : touched_edges_) {
    remove_all(edges_[edge].tasks);
    old_edges_.push_back(std::exchange(edges_[edge], {}));
  }
  for (const WeightId weight : touched_weights_) {
    remove_all(weights_[weight].tasks);
    old_weights_.push_back(std::exchange(weights_[weight], {}));
  }
  for (const OpId op : touched_ops_) build_op(op, plan);
  for (const EdgeId edge : touched_edges_) build_edge(edge, plan);
  for (const WeightId weight : touched_weights_) build_weight(weight, plan);

  std::optional<SimTime> makespan_limit;
  if (limit) {
    const Duration serial = iteration_time(SimTime());
    if (serial > *limit) return std::nullopt;
    makespan_limit = SimTime() + (*limit - serial);
  }
  const std::optional<SimTime> makespan = engine_.repair(makespan_limit);
  if (!makespan) return std::nullopt;
  return iteration_time(*makespan);
}

void DeltaSimulation::accept() {
  engine_.commit();
  old_ops_.clear();
  old_edges_.clear();
  old_weights_.clear();
}

void DeltaSimulation::reject() {
  engine_.rollback();
  for (size_t i = 0; i < touched_ops_.size(); ++i) ops_[touched_ops_[i]] = std::move(old_ops_[i]);
  for (size_t i = 0; i < touched_edges_.size(); ++i) {
    edges_[touched_edges_[i]] = std::move(old_edges_[i]);
  }
  for (size_t i = 0; i < touched_weights_.size(); ++i) {
    weights_[touched_weights_[i]] = std::move(old_weights_[i]);
  }
  old_ops_.clear();
  old_edges_.clear();
  old_weights_.clear();
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
  for (const TaskSet& set : edges_) {
    for (const TaskId task : set.tasks) add(task);
  }
  for (const TaskSet& set : weights_) {
    for (const TaskId task : set.tasks) add(task);
  }
  if (all_backward_.valid()) add(all_backward_);
  std::sort(times.begin(), times.end(),
            [](const TaskTimes& a, const TaskTimes& b) { return a.key < b.key; });
  return times;
}

}  // namespace soapbox
