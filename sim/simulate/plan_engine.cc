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
  groups_.push_back({kind, id, static_cast<uint32_t>(slots_.size())});
}

void PlanEngine::add_slot(ResourceId resource, Duration duration, uint32_t waits_for) {
  Slot slot;
  slot.duration_ps = duration.picoseconds();
  slot.resource = resource.value();
  slot.waits_for = waits_for;
  slot.group = static_cast<uint32_t>(groups_.size() - 1);
  slots_.push_back(slot);
}

// Marks the slots from `first` on that send over links.
void PlanEngine::mark_senders(uint32_t first, const SendRows& rows) {
  if (rows.empty()) return;
  for (uint32_t slot = first; slot < slots_.size(); ++slot) {
    for (const Send& send : rows.of(slot - first)) slots_[slot].sends |= send.link.valid();
  }
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
    const std::vector<uint32_t>& arrivals = sends_->edges[edge].forward_arrivals;
    for (size_t piece = 0; piece < arrivals.size(); ++piece) {
      slots_[first + piece].waits_for += arrivals[piece];
    }
  }
  for (const EdgeId edge : graph_.out_edges(op)) mark_senders(first, sends_->edges[edge].forward);
}

void PlanEngine::lay_out_backward(OpId op) {
  const OpBlock& block = blocks_->ops[op];
  const std::vector<DeviceId>& devices = plan_->ops[op].devices;
  backward_first_[op] = kNone;
  if (block.backward.empty()) return;
  for (const EdgeId edge : graph_.out_edges(op)) {
    const std::vector<uint32_t>& arrivals = sends_->edges[edge].sum_arrivals;
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
    const std::vector<uint32_t>& arrivals = sends_->edges[edge].backward_arrivals;
    for (size_t piece = 0; piece < arrivals.size(); ++piece) {
      slots_[first + piece].waits_for += arrivals[piece];
    }
  }
  for (const EdgeId edge : graph_.in_edges(op)) mark_senders(first, sends_->edges[edge].backward);
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

void PlanEngine::lay_out(const Plan& plan, const PlanBlocks& blocks, const PlanSends& sends) {
  plan_ = &plan;
  blocks_ = &blocks;
  sends_ = &sends;
  groups_.clear();
  slots_.clear();
  forward_first_.resize(graph_.ops().size());
  backward_first_.resize(graph_.ops().size());
  sums_first_.resize(graph_.edges().size());
  sync_first_.resize(graph_.weights().size());
  for (const OpId op : graph_.ops().ids()) lay_out_forward(op);
  for (size_t i = graph_.ops().size(); i-- > 0;) lay_out_backward(OpId::from_index(i));
  lay_out_weights();
  SOAPBOX_CHECK(slots_.size() < kNone / 2, "too many tasks");
  resources_.assign(resource_count(cluster_), {});
}

// ---- Running

void PlanEngine::arrive(uint32_t slot, int64_t time_ps) {
  Slot& s = slots_[slot];
  s.ready_ps = std::max(s.ready_ps, time_ps);
  if (--s.waits_for == 0) queue_.push(SimTime(s.ready_ps), slot << 1);
}

// The end of a task on its resource; kNever if the makespan then exceeds the limit.
template <bool kLimited>
int64_t PlanEngine::occupy(uint32_t resource, int64_t ready_ps, int64_t duration_ps) {
  ResourceState& state = resources_[resource];
  if (ready_ps > state.free_ps) {
    if (kLimited) {
      state.idle_ps += ready_ps - state.free_ps;
      const ResourceId id(resource);
      if (state.idle_ps + bounds_->work_ps[id] + bounds_->tail_ps[id] > limit_ps_) return kNever;
    }
    state.free_ps = ready_ps;
  }
  SOAPBOX_CHECK(!__builtin_add_overflow(state.free_ps, duration_ps, &state.free_ps),
                "simulated time overflow");
  makespan_ps_ = std::max(makespan_ps_, state.free_ps);
  return state.free_ps;
}

// What a task that ends sends: row `sender` of `rows`, to slots from `targets` on.
template <bool kLimited, bool kRecorded>
bool PlanEngine::send(const SendRows& rows, uint32_t sender, Targets targets, int64_t end_ps,
                      uint32_t& next_task) {
  for (const Send& send : rows.of(sender)) {
    const bool to_sum = (send.to & EdgeSends::kToSum) != 0;
    const uint32_t target =
        to_sum ? targets.sums + (send.to & ~EdgeSends::kToSum) : targets.pieces + send.to;
    int64_t arrival_ps = end_ps;
    if (send.link.valid()) {
      arrival_ps = occupy<kLimited>(send.link.value(), end_ps, send.duration.picoseconds());
      if (kLimited && arrival_ps == kNever) return false;
      if (kRecorded) note(next_task++, end_ps, send.duration.picoseconds(), arrival_ps);
    }
    arrive(target, arrival_ps);
  }
  return true;
}

template <bool kLimited, bool kRecorded>
bool PlanEngine::finish_forward(OpId op, uint32_t piece, int64_t end_ps, uint32_t& next_task) {
  if (backward_first_[op] != kNone) arrive(backward_first_[op] + piece, end_ps);
  for (const EdgeId edge : graph_.out_edges(op)) {
    const Targets targets{forward_first_[graph_.edge(edge).consumer], kNone};
    if (!send<kLimited, kRecorded>(sends_->edges[edge].forward, piece, targets, end_ps,
                                   next_task)) {
      return false;
    }
  }
  return true;
}

template <bool kLimited, bool kRecorded>
bool PlanEngine::finish_backward(OpId op, uint32_t piece, int64_t end_ps, uint32_t& next_task) {
  for (const EdgeId edge : graph_.in_edges(op)) {
    const EdgeSends& sends = sends_->edges[edge];
    if (sends.backward.empty()) continue;
    const Targets targets{backward_first_[graph_.edge(edge).producer], sums_first_[edge]};
    if (!send<kLimited, kRecorded>(sends.backward, piece, targets, end_ps, next_task)) {
      return false;
    }
  }
  for (const auto& [weight, user] : uses_[op]) {
    const SyncSends& sync = sends_->weights[weight];
    for (const Send& send : sync.contributors.of(sync.user_rows[user] + piece)) {
      arrive(sync_first_[weight] + send.to, end_ps);
    }
  }
  if (barrier_ != kNone) arrive(barrier_, end_ps);
  return true;
}

template <bool kLimited, bool kRecorded>
bool PlanEngine::finish(uint32_t slot, int64_t end_ps) {
  const Group& group = groups_[slots_[slot].group];
  const uint32_t index = slot - group.first;
  uint32_t none = 0;
  uint32_t& next_task = kRecorded ? next_task_[slot] : none;
  switch (group.kind) {
    case Kind::kForward:
      return finish_forward<kLimited, kRecorded>(OpId(group.id), index, end_ps, next_task);
    case Kind::kBackward:
      return finish_backward<kLimited, kRecorded>(OpId(group.id), index, end_ps, next_task);
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
      for (const Send& send : sends_->weights[weight].successors.of(index)) {
        arrive(sync_first_[weight] + send.to, end_ps);
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

template <bool kLimited, bool kRecorded>
bool PlanEngine::simulate() {
  queue_.clear();
  makespan_ps_ = 0;
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].waits_for == 0) queue_.push(SimTime(), slot << 1);
  }
  while (!queue_.empty()) {
    const Event event = queue_.pop();
    ++events_;
    const uint32_t slot = event.id >> 1;
    int64_t end_ps = event.time.picoseconds();
    if ((event.id & 1) == 0) {
      const Slot& s = slots_[slot];
      end_ps = occupy<kLimited>(s.resource, s.ready_ps, s.duration_ps);
      if (kLimited && (end_ps == kNever || is_too_late(groups_[s.group], end_ps))) return false;
      if (kRecorded) note(task_of_[slot], s.ready_ps, s.duration_ps, end_ps);
      if (s.sends) {
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
  task_of_.resize(slots_.size());
  next_task_.resize(slots_.size());
  uint32_t next = 0;
  const auto number_sends = [&](const SendRows& rows, uint32_t sender) {
    if (rows.empty()) return;
    for (const Send& send : rows.of(sender)) next += send.link.valid() ? 1 : 0;
  };
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    const auto end =
        static_cast<uint32_t>(g + 1 < groups_.size() ? groups_[g + 1].first : slots_.size());
    for (uint32_t slot = group.first; slot < end; ++slot) task_of_[slot] = next++;
    for (uint32_t slot = group.first; slot < end; ++slot) {
      next_task_[slot] = next;
      const uint32_t index = slot - group.first;
      if (group.kind == Kind::kForward) {
        for (const EdgeId edge : graph_.out_edges(OpId(group.id))) {
          number_sends(sends_->edges[edge].forward, index);
        }
      } else if (group.kind == Kind::kBackward) {
        for (const EdgeId edge : graph_.in_edges(OpId(group.id))) {
          number_sends(sends_->edges[edge].backward, index);
        }
      }
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
