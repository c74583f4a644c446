#include "sim/simulate/lower_bound.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "sim/simulate/lower.h"

namespace soapbox {

namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

GroupProfile compute_profile(const std::vector<Duration>& durations, const OpConfig& config,
                             DemandSum& sum) {
  GroupProfile profile;
  for (size_t piece = 0; piece < durations.size(); ++piece) {
    sum.add(compute_resource(config.devices[piece]), durations[piece]);
    profile.shortest = piece == 0 ? durations[0] : std::min(profile.shortest, durations[piece]);
  }
  profile.demands = sum.take();
  return profile;
}

Duration shortest_of(std::span<const SendRun> runs) {
  Duration shortest = runs.empty() ? Duration() : runs.front().duration;
  for (const SendRun& run : runs) shortest = std::min(shortest, run.duration);
  return shortest;
}

}  // namespace

DemandSum::DemandSum(const Cluster& cluster)
    : work_(resource_count(cluster)), is_used_(resource_count(cluster), 0) {}

std::vector<GroupProfile::Demand> DemandSum::take() {
  std::sort(used_.begin(), used_.end());
  std::vector<GroupProfile::Demand> demands;
  demands.reserve(used_.size());
  for (const ResourceId resource : used_) {
    demands.push_back({resource, std::exchange(work_[resource], Duration())});
    is_used_[resource] = false;
  }
  used_.clear();
  return demands;
}

OpProfile make_op_profile(const OpBlock& block, const OpConfig& config, DemandSum& sum) {
  OpProfile profile;
  profile.forward = compute_profile(block.forward, config, sum);
  profile.backward = compute_profile(block.backward, config, sum);
  return profile;
}

EdgeProfile make_edge_profile(const EdgeBlock& block, const EdgeSends& sends,
                              const OpConfig& producer, DemandSum& sum) {
  EdgeProfile profile;
  const auto add_transfers = [&](std::span<const SendRun> runs) {
    for (const SendRun& run : runs) {
      if (run.link.valid()) sum.add(run.link, run.duration * run.count);
    }
  };
  add_transfers(sends.forward.runs.all());
  profile.forward.demands = sum.take();
  profile.forward.shortest = shortest_of(sends.forward.runs.all());
  add_transfers(sends.backward.runs.all());
  for (size_t i = 0; i < sends.sum_arrivals.size(); ++i) {
    const GradientSum& gradient = block.sums[i];
    sum.add(compute_resource(producer.devices[gradient.producer_piece]), gradient.duration);
  }
  profile.backward.demands = sum.take();
  profile.backward.shortest = shortest_of(sends.backward.runs.all());
  const auto none = [](uint32_t arrivals) { return arrivals == 0; };
  profile.feeds_all = std::ranges::none_of(sends.forward_arrivals, none);
  profile.read_all = !sends.forward.runs.empty();
  for (uint32_t piece = 0; profile.read_all && piece < producer.task_count(); ++piece) {
    profile.read_all = !sends.forward.runs.of(piece).empty();
  }
  return profile;
}

SyncProfile make_sync_profile(const SyncBlock& block, const SyncSends& sends, size_t user_count,
                              DemandSum& sum) {
  SyncProfile result;
  result.serial = block.serial;
  result.waits_for_all = true;
  std::vector<OpId> users;
  for (size_t i = 0; i < block.tasks.size(); ++i) {
    const SyncTask& task = block.tasks[i];
    if (task.after_begin == task.after_end) {
      users.clear();
      for (const BackwardTask& contributor : block.contributors_of(task)) {
        if (users.empty() || users.back() != contributor.op) users.push_back(contributor.op);
      }
      std::sort(users.begin(), users.end());
      const auto distinct = std::unique(users.begin(), users.end()) - users.begin();
      result.waits_for_all &= static_cast<size_t>(distinct) == user_count;
    }
    if (task.kind != TaskKind::kBarrier) sum.add(sends.tasks[i].resource, sends.tasks[i].duration);
  }
  result.group.demands = sum.take();
  return result;
}

std::string to_string(LowerBound::Kind kind) {
  switch (kind) {
    case LowerBound::Kind::kCriticalPath:
      return "critical_path";
    case LowerBound::Kind::kWork:
      return "work";
    case LowerBound::Kind::kLink:
      return "link";
  }
  return "?";
}

PlanBounds::PlanBounds(const OpGraph& graph, const Cluster& cluster)
    : ops(graph.ops().size()),
      edges(graph.edges().size()),
      weights(graph.weights().size()),
      graph_(&graph),
      cluster_(&cluster) {}

// An edge's gradients exist only where both ends have a backward.
void PlanBounds::compute_heads() {
  const size_t count = graph_->ops().size();
  forward_head_.assign(count, 0);
  backward_head_.assign(count, 0);
  for (const OpId op : graph_->ops().ids()) {
    for (const EdgeId id : graph_->in_edges(op)) {
      if (!edges[id].feeds_all) continue;
      const OpId producer = graph_->edge(id).producer;
      forward_head_[op] =
          std::max(forward_head_[op], forward_head_[producer] +
                                          ops[producer].forward.shortest.picoseconds() +
                                          edges[id].forward.shortest.picoseconds());
    }
  }
  for (size_t i = count; i-- > 0;) {
    const OpId op = OpId::from_index(i);
    if (ops[op].backward.demands.empty()) continue;
    int64_t head = forward_head_[op] + ops[op].forward.shortest.picoseconds();
    for (const EdgeId id : graph_->out_edges(op)) {
      const OpId consumer = graph_->edge(id).consumer;
      if (!edges[id].read_all || ops[consumer].backward.demands.empty()) continue;
      head =
          std::max(head, backward_head_[consumer] + ops[consumer].backward.shortest.picoseconds() +
                             edges[id].backward.shortest.picoseconds());
    }
    backward_head_[op] = head;
  }
}

void PlanBounds::compute_tails() {
  const size_t count = graph_->ops().size();
  tails_.forward_ps.assign(count, 0);
  tails_.backward_ps.assign(count, 0);
  for (const OpId op : graph_->ops().ids()) {  // gradients flow from consumers to producers
    for (const EdgeId id : graph_->in_edges(op)) {
      const OpId producer = graph_->edge(id).producer;
      if (!edges[id].feeds_all || ops[producer].backward.demands.empty()) continue;
      tails_.backward_ps[op] =
          std::max(tails_.backward_ps[op], edges[id].backward.shortest.picoseconds() +
                                               ops[producer].backward.shortest.picoseconds() +
                                               tails_.backward_ps[producer]);
    }
  }
  for (size_t i = count; i-- > 0;) {
    const OpId op = OpId::from_index(i);
    int64_t tail = 0;
    if (!ops[op].backward.demands.empty()) {
      tail = ops[op].backward.shortest.picoseconds() + tails_.backward_ps[op];
    }
    for (const EdgeId id : graph_->out_edges(op)) {
      if (!edges[id].read_all) continue;
      const OpId consumer = graph_->edge(id).consumer;
      tail = std::max(tail, edges[id].forward.shortest.picoseconds() +
                                ops[consumer].forward.shortest.picoseconds() +
                                tails_.forward_ps[consumer]);
    }
    tails_.forward_ps[op] = tail;
  }
}

// Rings wait for a part of every user's gradient; a push to a parameter server for one user's
// alone.
int64_t PlanBounds::sync_head(WeightId weight) const {
  int64_t earliest = kNever;
  int64_t latest = 0;
  for (const OpId op : graph_->users(weight)) {
    const int64_t done = backward_head_[op] + ops[op].backward.shortest.picoseconds();
    earliest = std::min(earliest, done);
    latest = std::max(latest, done);
  }
  if (weights[weight].waits_for_all) return latest;
  return earliest == kNever ? 0 : earliest;
}

void PlanBounds::collect_groups() {
  groups_.clear();
  const auto add = [this](const GroupProfile& profile, int64_t head, int64_t tail) {
    if (!profile.demands.empty()) groups_.push_back({head, tail, &profile});
  };
  for (const OpId op : graph_->ops().ids()) {
    add(ops[op].forward, forward_head_[op], tails_.forward_ps[op]);
    add(ops[op].backward, backward_head_[op], tails_.backward_ps[op]);
  }
  for (const EdgeId id : graph_->edges().ids()) {
    const auto& [producer, consumer, input] = graph_->edge(id);
    add(edges[id].forward, forward_head_[producer] + ops[producer].forward.shortest.picoseconds(),
        ops[consumer].forward.shortest.picoseconds() + tails_.forward_ps[consumer]);
    add(edges[id].backward,
        backward_head_[consumer] + ops[consumer].backward.shortest.picoseconds(),
        ops[producer].backward.shortest.picoseconds() + tails_.backward_ps[producer]);
  }
  for (const WeightId weight : graph_->weights().ids()) {
    add(weights[weight].group, sync_head(weight), 0);
  }
}

LowerBound PlanBounds::compute(Duration enough) {
  compute_heads();
  compute_tails();
  collect_groups();
  std::sort(groups_.begin(), groups_.end(),
            [](const Group& a, const Group& b) { return a.head_ps > b.head_ps; });
  loads_.assign(resource_count(*cluster_), {0, kNever});
  LowerBound best;
  const auto raise = [&best](int64_t value, LowerBound::Kind kind) {
    if (value > best.value.picoseconds()) best = {Duration(value), kind};
  };
  for (const Group& group : groups_) {
    raise(group.head_ps + group.profile->shortest.picoseconds() + group.tail_ps,
          LowerBound::Kind::kCriticalPath);
    for (const GroupProfile::Demand& demand : group.profile->demands) {
      Load& load = loads_[demand.resource];
      load.work_ps += demand.work.picoseconds();
      load.tail_ps = std::min(load.tail_ps, group.tail_ps);
      raise(group.head_ps + load.work_ps + load.tail_ps,
            demand.resource.index() < cluster_->device_count() ? LowerBound::Kind::kWork
                                                               : LowerBound::Kind::kLink);
    }
    if (best.value > enough) return best;
  }
  return best;
}

const TailBounds& PlanBounds::tails() {
  tails_.work_ps.assign(resource_count(*cluster_), 0);
  tails_.tail_ps.assign(resource_count(*cluster_), kNever);
  for (const Group& group : groups_) {
    for (const auto& [resource, work] : group.profile->demands) {
      tails_.work_ps[resource] += work.picoseconds();
      tails_.tail_ps[resource] = std::min(tails_.tail_ps[resource], group.tail_ps);
    }
  }
  for (const ResourceId resource : tails_.work_ps.ids()) {
    if (tails_.work_ps[resource] == 0) tails_.tail_ps[resource] = 0;
  }
  return tails_;
}

Duration rounded_down(Duration bound, NetworkModel network) {
  if (network != NetworkModel::kFair) return bound;
  const int64_t ps = bound.picoseconds();
  return Duration(std::max<int64_t>(0, ps - ps / 1'000'000'000 - 10'000));
}

LowerBound lower_bound(const OpGraph& graph, const Cluster& cluster, const Plan& plan,
                       NetworkModel network, const PlanBlocks& blocks) {
  PlanBounds bounds(graph, cluster);
  DemandSum sum(cluster);
  TransferTable transfers(cluster);
  const PlanSends sends = make_plan_sends(graph, plan, blocks, cluster, transfers);
  for (const OpId op : graph.ops().ids()) {
    bounds.ops[op] = make_op_profile(blocks.ops[op], plan.ops[op], sum);
  }
  for (const EdgeId id : graph.edges().ids()) {
    bounds.edges[id] = make_edge_profile(blocks.edges[id], *sends.edges[id],
                                         plan.ops[graph.edge(id).producer], sum);
  }
  for (const WeightId weight : graph.weights().ids()) {
    bounds.weights[weight] = make_sync_profile(blocks.weights[weight], sends.weights[weight],
                                               graph.users(weight).size(), sum);
  }
  LowerBound bound = bounds.compute(Duration(INT64_MAX));
  bound.value = rounded_down(bound.value, network);
  return bound;
}

}  // namespace soapbox
