#include "sim/simulate/plan_engine.h"

#include <algorithm>

namespace soapbox {

PlanEngine::PlanEngine(const OpGraph& graph, const Cluster& cluster)
    : graph_(graph), cluster_(cluster), uses_(graph.ops().size()) {
  for (const WeightId weight : graph.weights().ids()) {
    const std::span<const OpId> users = graph.users(weight);
    for (uint32_t i = 0; i < users.size(); ++i) uses_[users[i]].push_back({weight, i});
  }
}

// ---- Laying out

void PlanEngine::begin_group(Kind kind, uint32_t id) {
  groups_.push_back({kind, id, static_cast<uint32_t>(jobs_.size()), kNone, 0, 0});
}

void PlanEngine::add_slot(ResourceId resource, Duration duration, uint32_t waits_for) {
  jobs_.push_back(
      {duration.picoseconds(), resource.value(), static_cast<uint32_t>(groups_.size() - 1)});
  waits_for_.push_back(waits_for);
}

void PlanEngine::lay_out_forward(OpId op) {
  const OpBlock& block = blocks_->ops[op];
  const std::vector<DeviceId>& devices = plan_->ops[op].devices;
  begin_group(Kind::kForward, op.value());
  const uint32_t first = forward_first_[op] = groups_.back().first;
  for (size_t piece = 0; piece < block.forward.size(); ++piece) {
    add_slot(compute_resource(devices[piece]), block.forward[piece], 0);
  }
  if (block.forward.empty()) return;
  for (const EdgeId edge : graph_.in_edges(op)) {
    const std::vector<uint32_t>& arrivals = sends_->edges[edge]->forward_arrivals;
    for (size_t piece = 0; piece < arrivals.size(); ++piece) {
      waits_for_[first + piece] += arrivals[piece];
    }
  }
}

void PlanEngine::lay_out_backward(OpId op) {
  const OpBlock& block = blocks_->ops[op];
  const std::vector<DeviceId>& devices = plan_->ops[op].devices;
  backward_first_[op] = kNone;
  if (block.backward.empty()) return;
  for (const EdgeId edge : graph_.out_edges(op)) {
    const std::vector<uint32_t>& arrivals = sends_->edges[edge]->sum_arrivals;
    begin_group(Kind::kSum, edge.value());
    sums_first_[edge] = groups_.back().first;
    for (size_t i = 0; i < arrivals.size(); ++i) {
      const GradientSum& sum = blocks_->edges[edge].sums[i];
      add_slot(compute_resource(devices[sum.producer_piece]), sum.duration, arrivals[i]);
    }
  }
  begin_group(Kind::kBackward, op.value());
  const uint32_t first = backward_first_[op] = groups_.back().first;
  for (size_t piece = 0; piece < block.backward.size(); ++piece) {
    add_slot(compute_resource(devices[piece]), block.backward[piece], 1);
  }
  for (const EdgeId edge : graph_.out_edges(op)) {
    const std::vector<uint32_t>& arrivals = sends_->edges[edge]->backward_arrivals;
    for (size_t piece = 0; piece < arrivals.size(); ++piece) {
      waits_for_[first + piece] += arrivals[piece];
    }
  }
}

void PlanEngine::lay_out_weights() {
  barrier_ = kNone;
  if (has_backward_barrier(plan_->sync)) {
    uint32_t pieces = 0;
    for (const OpBlock& block : blocks_->ops)
      pieces += static_cast<uint32_t>(block.backward.size());
    begin_group(Kind::kBarrier, 0);
    barrier_ = groups_.back().first;
    add_slot(barrier_resource(cluster_), Duration(), pieces);
  }
  for (size_t i = graph_.weights().size(); i-- > 0;) {
    const WeightId weight = WeightId::from_index(i);
    begin_group(Kind::kSync, weight.value());
    sync_first_[weight] = groups_.back().first;
    for (const SyncSends::Task& task : sends_->weights[weight].tasks) {
      add_slot(task.resource, task.duration, task.arrivals);
    }
  }
}

void PlanEngine::add_port(const SendRows& sends, size_t senders, uint32_t pieces, uint32_t sums,
                          uint32_t receivers) {
  if (sends.runs.empty()) return;
  Port port{&sends, pieces, sums, 0, 0};
  if (sends.is_all_to_all) {
    port.senders_left = static_cast<uint32_t>(senders);
    port.receivers = receivers;
  }
  ports_.push_back(port);
}

void PlanEngine::lay_out_ports() {
  ports_.clear();
  for (Group& group : groups_) {
    group.ports_begin = static_cast<uint32_t>(ports_.size());
    const OpId op(group.id);
    if (group.kind == Kind::kForward) {
      group.then = backward_first_[op];
      for (const EdgeId edge : graph_.out_edges(op)) {
        const EdgeSends& sends = *sends_->edges[edge];
        add_port(sends.forward, plan_->ops[op].task_count(),
                 forward_first_[graph_.edge(edge).consumer], kNone,
                 static_cast<uint32_t>(sends.forward_arrivals.size()));
      }
    } else if (group.kind == Kind::kBackward) {
      for (const EdgeId edge : graph_.in_edges(op)) {
        const EdgeSends& sends = *sends_->edges[edge];
        add_port(sends.backward, plan_->ops[op].task_count(),
                 backward_first_[graph_.edge(edge).producer], sums_first_[edge],
                 static_cast<uint32_t>(sends.backward_arrivals.size()));
      }
    }
    group.ports_end = static_cast<uint32_t>(ports_.size());
  }
}

void PlanEngine::lay_out(const Plan& plan, const PlanBlocks& blocks, const PlanSends& sends) {
  plan_ = &plan;
  blocks_ = &blocks;
  sends_ = &sends;
  groups_.clear();
  jobs_.clear();
  waits_for_.clear();
  forward_first_.resize(graph_.ops().size());
  backward_first_.resize(graph_.ops().size());
  sums_first_.resize(graph_.edges().size());
  sync_first_.resize(graph_.weights().size());
  for (const OpId op : graph_.ops().ids()) lay_out_forward(op);
  for (size_t i = graph_.ops().size(); i-- > 0;) lay_out_backward(OpId::from_index(i));
  lay_out_weights();
  lay_out_ports();
  SOAPBOX_CHECK(jobs_.size() < kNone / 2, "too many tasks");
  ready_ps_.assign(jobs_.size(), 0);
  resources_.assign(resource_count(cluster_), {});
}

// ---- Running

inline void PlanEngine::arrive(uint32_t slot, int64_t time_ps) {
  ready_ps_[slot] = std::max(ready_ps_[slot], time_ps);
  if (--waits_for_[slot] == 0) queue_.push(SimTime(ready_ps_[slot]), slot << 1);
}

// Lets a resource idle until something is ready for it; false if the makespan then exceeds the
// limit.
template <bool kLimited>
inline bool PlanEngine::occupy(ResourceState& state, uint32_t resource, int64_t ready_ps) {
  if (ready_ps <= state.free_ps) return true;
  if (kLimited) {
    state.idle_ps += ready_ps - state.free_ps;
    const ResourceId id(resource);
    if (state.idle_ps + bounds_->work_ps[id] + bounds_->tail_ps[id] > limit_ps_) return false;
  }
  state.free_ps = ready_ps;
  return true;
}

// The resource is in use until `time_ps`.
inline void PlanEngine::reach(ResourceState& state, int64_t time_ps) {
  state.free_ps = time_ps;
  makespan_ps_ = std::max(makespan_ps_, time_ps);
}

// What a task that ends sends over one edge.
template <bool kLimited, bool kRecorded>
bool PlanEngine::send(Port& port, uint32_t sender, int64_t end_ps, uint32_t& next_task) {
  for (const SendRun& run : port.sends->runs.of(sender)) {
    const bool to_sums = (run.to & EdgeSends::kToSum) != 0;
    const uint32_t first =
        to_sums ? port.sums + (run.to & ~EdgeSends::kToSum) : port.pieces + run.to;
    int64_t arrival_ps = end_ps;
    int64_t step_ps = 0;
    if (run.link.valid()) {
      ResourceState& state = resources_[run.link.value()];
      if (!occupy<kLimited>(state, run.link.value(), end_ps)) return false;
      arrival_ps = state.free_ps;
      step_ps = run.duration.picoseconds();
      int64_t last_ps = 0;
      SOAPBOX_CHECK(!__builtin_mul_overflow(step_ps, int64_t{run.count}, &last_ps) &&
                        !__builtin_add_overflow(last_ps, arrival_ps, &last_ps),
                    "simulated time overflow");
      reach(state, last_ps);
    }
    if (port.receivers > 0 && !kRecorded) {
      int64_t* const ready_ps = &ready_ps_[first];
      for (uint32_t i = 0; i < run.count; ++i) {
        arrival_ps += step_ps;
        ready_ps[i] = std::max(ready_ps[i], arrival_ps);
      }
      continue;
    }
    for (uint32_t i = 0; i < run.count; ++i) {
      arrival_ps += step_ps;
      if (kRecorded && run.link.valid()) note(next_task++, end_ps, step_ps, arrival_ps);
      if (port.receivers > 0) {
        ready_ps_[first + i] = std::max(ready_ps_[first + i], arrival_ps);
      } else {
        arrive(first + i, arrival_ps);
      }
    }
  }
  if (port.receivers > 0 && --port.senders_left == 0) {
    const uint32_t first =
        (port.sends->runs.all()[0].to & EdgeSends::kToSum) != 0 ? port.sums : port.pieces;
    for (uint32_t i = 0; i < port.receivers; ++i) arrive(first + i, 0);
  }
  return true;
}

// The end of a backward piece, to the weights that its operator uses.
void PlanEngine::signal_weights(OpId op, uint32_t piece, int64_t end_ps) {
  for (const auto& [weight, user] : uses_[op]) {
    const SyncSends& sync = sends_->weights[weight];
    for (const uint32_t task : sync.contributors.of(sync.user_rows[user] + piece)) {
      arrive(sync_first_[weight] + task, end_ps);
    }
  }
  if (barrier_ != kNone) arrive(barrier_, end_ps);
}

template <bool kLimited, bool kRecorded>
bool PlanEngine::finish(uint32_t slot, int64_t end_ps) {
  const Group& group = groups_[jobs_[slot].group];
  const uint32_t index = slot - group.first;
  uint32_t none = 0;
  uint32_t& next_task = kRecorded ? next_task_[slot] : none;
  if (group.then != kNone) arrive(group.then + index, end_ps);
  for (uint32_t i = group.ports_begin; i < group.ports_end; ++i) {
    if (!send<kLimited, kRecorded>(ports_[i], index, end_ps, next_task)) return false;
  }
  switch (group.kind) {
    case Kind::kForward:
      return true;
    case Kind::kBackward:
      signal_weights(OpId(group.id), index, end_ps);
      return true;
    case Kind::kSum: {
      const EdgeId edge(group.id);
      const uint32_t piece = blocks_->edges[edge].sums[index].producer_piece;
      arrive(backward_first_[graph_.edge(edge).producer] + piece, end_ps);
      return true;
    }
    case Kind::kBarrier:
      for (const WeightId weight : graph_.weights().ids()) {
        for (const uint32_t task : sends_->weights[weight].after_backward) {
          arrive(sync_first_[weight] + task, end_ps);
        }
      }
      return true;
    case Kind::kSync: {
      const WeightId weight(group.id);
      for (const uint32_t task : sends_->weights[weight].successors.of(index)) {
        arrive(sync_first_[weight] + task, end_ps);
      }
      return true;
    }
  }
  return true;
}

// Whether the end of a task of `group` leaves too little time for what follows.
bool PlanEngine::is_too_late(const Group& group, int64_t end_ps) const {
  int64_t tail_ps = 0;
  if (group.kind == Kind::kForward) tail_ps = bounds_->forward_ps[OpId(group.id)];
  if (group.kind == Kind::kBackward) tail_ps = bounds_->backward_ps[OpId(group.id)];
  return end_ps + tail_ps > limit_ps_;
}

// Whether the end of a task is an event of its own.
bool PlanEngine::sends_over_links(const Group& group, uint32_t index) const {
  for (uint32_t i = group.ports_begin; i < group.ports_end; ++i) {
    if (!ports_[i].sends->uses_links) continue;
    for (const SendRun& run : ports_[i].sends->runs.of(index)) {
      if (run.link.valid()) return true;
    }
  }
  return false;
}

template <bool kLimited, bool kRecorded>
bool PlanEngine::simulate() {
  queue_.clear(2 * jobs_.size());
  makespan_ps_ = 0;
  for (uint32_t slot = 0; slot < jobs_.size(); ++slot) {
    if (waits_for_[slot] == 0) queue_.push(SimTime(), slot << 1);
  }
  while (!queue_.empty()) {
    const Event event = queue_.pop();
    ++events_;
    const uint32_t slot = event.id >> 1;
    int64_t end_ps = event.time.picoseconds();
    if ((event.id & 1) == 0) {
      const Job& job = jobs_[slot];
      const Group& group = groups_[job.group];
      ResourceState& state = resources_[job.resource];
      if (!occupy<kLimited>(state, job.resource, end_ps)) return false;
      const int64_t ready_ps = end_ps;
      SOAPBOX_CHECK(!__builtin_add_overflow(state.free_ps, job.duration_ps, &end_ps),
                    "simulated time overflow");
      reach(state, end_ps);
      if (kLimited && is_too_late(group, end_ps)) return false;
      if (kRecorded) note(task_of_[slot], ready_ps, job.duration_ps, end_ps);
      if (sends_over_links(group, slot - group.first)) {
        queue_.push(SimTime(end_ps), event.id | 1);
        continue;
      }
    }
    if (!finish<kLimited, kRecorded>(slot, end_ps)) return false;
  }
  return !kLimited || makespan_ps_ <= limit_ps_;
}

SimTime PlanEngine::run(const Plan& plan, const PlanBlocks& blocks, const PlanSends& sends) {
  lay_out(plan, blocks, sends);
  simulate<false, false>();
  return SimTime(makespan_ps_);
}

std::optional<SimTime> PlanEngine::run(const Plan& plan, const PlanBlocks& blocks,
                                       const PlanSends& sends, const TailBounds& bounds,
                                       SimTime limit) {
  lay_out(plan, blocks, sends);
  bounds_ = &bounds;
  limit_ps_ = limit.picoseconds();
  if (!simulate<true, false>()) return std::nullopt;
  return SimTime(makespan_ps_);
}

// ---- Recording

void PlanEngine::note(uint32_t task, int64_t ready_ps, int64_t duration_ps, int64_t end_ps) {
  const TaskId id(task);
  timeline_->ready[id] = SimTime(ready_ps);
  timeline_->start[id] = SimTime(end_ps - duration_ps);
  timeline_->end[id] = SimTime(end_ps);
}

// Gives every slot and every transfer its id in lower(); returns how many there are.
uint32_t PlanEngine::number_tasks() {
  task_of_.resize(jobs_.size());
  next_task_.resize(jobs_.size());
  uint32_t next = 0;
  const auto number_sends = [&](const Port& port, uint32_t sender) {
    for (const SendRun& run : port.sends->runs.of(sender)) next += run.link.valid() ? run.count : 0;
  };
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    const auto end =
        static_cast<uint32_t>(g + 1 < groups_.size() ? groups_[g + 1].first : jobs_.size());
    for (uint32_t slot = group.first; slot < end; ++slot) task_of_[slot] = next++;
    for (uint32_t slot = group.first; slot < end; ++slot) {
      next_task_[slot] = next;
      const uint32_t index = slot - group.first;
      for (uint32_t i = group.ports_begin; i < group.ports_end; ++i) number_sends(ports_[i], index);
    }
  }
  return next;
}

Timeline PlanEngine::record(const Plan& plan, const PlanBlocks& blocks, const PlanSends& sends) {
  lay_out(plan, blocks, sends);
  const uint32_t tasks = number_tasks();
  Timeline timeline;
  timeline.ready.resize(tasks);
  timeline.start.resize(tasks);
  timeline.end.resize(tasks);
  timeline_ = &timeline;
  simulate<false, true>();
  timeline.makespan = SimTime(makespan_ps_);
  timeline.events = tasks;
  return timeline;
}

}  // namespace soapbox
