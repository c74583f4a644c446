#include "calib/runs/two_clocks.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <variant>

namespace soapbox::calib {
namespace {

// REQUIRES: some.
Duration median_of(std::vector<Duration> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace

LaunchTimes::LaunchTimes(MeasuredTable table) : table_(std::move(table)) {
  std::map<std::pair<OpKind, Phase>, std::vector<Duration>> times;
  std::vector<Duration> all;
  for (const MeasuredPiece& one : table_.pieces()) {
    times[{one.piece.kind, one.piece.phase}].push_back(one.time);
    all.push_back(one.time);
  }
  for (auto& [kind, some] : times) medians_[kind] = median_of(std::move(some));
  median_ = median_of(std::move(all));
}

Duration LaunchTimes::of(const TaskPart& part) const {
  OpKind kind = OpKind::kElementwise;
  Phase phase = Phase::kForward;
  if (const auto* piece = std::get_if<PiecePart>(&part)) {
    if (const auto found = table_.find(*piece->op, piece->extents, piece->phase)) {
      return found->time;
    }
    kind = piece->op->kind;
    phase = piece->phase;
  }
  const auto known = medians_.find({kind, phase});
  return known == medians_.end() ? median_ : known->second;
}

std::vector<TaskId> launch_order(const Timeline& one_clock) {
  std::vector<TaskId> order;
  for (const TaskId task : one_clock.start.ids()) order.push_back(task);
  std::sort(order.begin(), order.end(), [&](TaskId a, TaskId b) {
    return std::tuple(one_clock.start[a], one_clock.end[a], a) <
           std::tuple(one_clock.start[b], one_clock.end[b], b);
  });
  return order;
}

Timeline run_two_clocks(const TaskGraph& graph, const std::vector<TaskId>& order,
                        const IdVector<TaskId, Duration>& host) {
  TaskGraph both(graph.resource_count() + 1);
  const ResourceId host_thread = ResourceId::from_index(graph.resource_count());
  TaskId last_launch;
  TaskId last_start;
  IdVector<TaskId, TaskId> moved;
  moved.resize(graph.task_count());
  for (const TaskId task : order) {
    const bool is_launched = host[task] > Duration();
    TaskId launch;
    if (is_launched) {
      launch = both.add_task(host_thread, host[task]);
      if (last_launch.valid()) both.add_edge(last_launch, launch);
      last_launch = launch;
    }
    moved[task] = both.add_task(graph.resource(task), graph.duration(task));
    if (!is_launched) continue;
    both.add_edge(launch, moved[task]);
    if (last_start.valid()) both.add_edge(last_start, moved[task]);
    last_start = moved[task];
  }
  for (const TaskId task : order) {
    for (const TaskId next : graph.successors(task)) both.add_edge(moved[task], moved[next]);
  }
  both.finish();
  Timeline all;
  FifoEngine().run(both, all);
  Timeline timeline;
  for (const TaskId task : id_range<TaskId>(graph.task_count())) {
    timeline.ready.push_back(all.ready[moved[task]]);
    timeline.start.push_back(all.start[moved[task]]);
    timeline.end.push_back(all.end[moved[task]]);
    timeline.makespan = std::max(timeline.makespan, timeline.end[task]);
  }
  timeline.events = all.events;
  return timeline;
}

}  // namespace soapbox::calib
