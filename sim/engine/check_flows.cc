#include "sim/engine/check_flows.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "sim/base/str.h"

namespace soapbox {
namespace {

constexpr WorkUnits kWorkPerByte = WorkUnits{1'000'000'000'000} * kRateUnitsPerByte;

std::string task_text(TaskId task) {
  return str_cat("task ", task.value());
}
std::string time_text(SimTime time) {
  return str_cat(time.picoseconds(), " ps");
}

// What one flow of a route would have been sent from the beginning of time on.
class SentByRoute {
 public:
  void change_rate(SimTime time, RateUnits rate) {
    const WorkUnits before = changes_.empty() ? 0 : until(time);
    changes_.push_back(Change{time, rate, before});
  }
  WorkUnits until(SimTime time) const {
    const auto next = std::ranges::upper_bound(changes_, time, {}, &Change::time);
    if (next == changes_.begin()) return 0;
    const Change& last = *(next - 1);
    return last.before + WorkUnits{(time - last.time).picoseconds()} * last.rate;
  }

 private:
  struct Change {
    SimTime time;
    RateUnits rate;
    WorkUnits before;
  };
  std::vector<Change> changes_;
};

Status check_dependencies(const TaskGraph& graph, const Timeline& timeline) {
  IdVector<TaskId, SimTime> last_end(graph.task_count());
  SimTime makespan;
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    makespan = std::max(makespan, timeline.end[task]);
    for (TaskId successor : graph.successors(task)) {
      last_end[successor] = std::max(last_end[successor], timeline.end[task]);
    }
  }
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    if (timeline.ready[task] != last_end[task] || timeline.start[task] < last_end[task]) {
      return bad_input(str_cat(task_text(task), " is ready at ", time_text(timeline.ready[task]),
                               " and starts at ", time_text(timeline.start[task]),
                               ", but its last predecessor ends at ", time_text(last_end[task])));
    }
  }
  if (timeline.makespan != makespan) return bad_input("the makespan is not the last end");
  return ok();
}

Status check_tasks(const TaskGraph& graph, const Network& network, const Timeline& timeline) {
  std::vector<TaskId> tasks;
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    if (graph.flow(task) == nullptr) tasks.push_back(task);
  }
  std::ranges::sort(tasks, {}, [&](TaskId task) {
    return std::tuple(graph.resource(task), timeline.ready[task], task);
  });
  TaskId previous;
  for (TaskId task : tasks) {
    const ResourceId resource = graph.resource(task);
    const bool is_first = !previous.valid() || graph.resource(previous) != resource;
    const SimTime free_at = is_first ? SimTime() : timeline.end[previous];
    previous = task;
    if (timeline.start[task] != std::max(timeline.ready[task], free_at)) {
      return bad_input(str_cat("first in, first out: ", task_text(task), " starts at ",
                               time_text(timeline.start[task]), " but it is ready at ",
                               time_text(timeline.ready[task]),
                               " and its resource is free for it at ", time_text(free_at)));
    }
    const Duration taken = timeline.end[task] - timeline.start[task];
    const Duration duration = graph.duration(task);
    // The speed is rounded to 2^-20, so a slowed task may take that much longer.
    const double slowdown = network[resource].task_slowdown;
    const double limit = static_cast<double>(duration.picoseconds()) * slowdown *
                             (slowdown == 1 ? 1 : 1 + 0x1.0p-19 * slowdown) +
                         (slowdown == 1 ? 0 : 1);
    if (taken < duration || static_cast<double>(taken.picoseconds()) > limit) {
      return bad_input(str_cat(task_text(task), " takes ", taken.picoseconds(),
                               " ps, but its duration is ", duration.picoseconds(),
                               " ps and its slowdown ", slowdown));
    }
  }
  return ok();
}

Status check_flow(const SentByRoute& sent, const Flow& flow, TaskId task,
                  const Timeline& timeline) {
  const SimTime first_byte = timeline.start[task] + flow.latency;
  const SimTime end = timeline.end[task];
  if (timeline.start[task] != timeline.ready[task] || end < first_byte) {
    return bad_input(str_cat(task_text(task), ", a flow, is ready at ",
                             time_text(timeline.ready[task]), ", starts at ",
                             time_text(timeline.start[task]), ", and ends at ", time_text(end)));
  }
  const WorkUnits work = WorkUnits{flow.bytes.count()} * kWorkPerByte;
  const WorkUnits before = sent.until(first_byte);
  const bool all_sent = sent.until(end) - before >= work;
  const bool sent_earlier =
      end > first_byte && sent.until(SimTime(end.picoseconds() - 1)) - before >= work;
  if (!all_sent || sent_earlier) {
    return bad_input(str_cat(task_text(task), " ends at ", time_text(end), ", but its ",
                             flow.bytes.count(), " bytes were ",
                             all_sent ? "all sent earlier" : "not all sent"));
  }
  return ok();
}

// A flow that comes (+1) or goes (-1), or a rate that changes.
struct Step {
  SimTime time;
  RouteId route;
  int flows = 0;
  RateUnits rate = -1;
};

std::vector<Step> all_steps(const TaskGraph& graph, const Timeline& timeline,
                            std::span<const RateChange> log) {
  std::vector<Step> steps;
  for (const RateChange& change : log) {
    steps.push_back(Step{change.time, change.route, 0, change.rate});
  }
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    const Flow* flow = graph.flow(task);
    if (flow == nullptr || graph.routes().links(flow->route).empty()) continue;
    const SimTime first_byte = timeline.start[task] + flow->latency;
    if (first_byte == timeline.end[task]) continue;
    steps.push_back(Step{first_byte, flow->route, 1, -1});
    steps.push_back(Step{timeline.end[task], flow->route, -1, -1});
  }
  std::ranges::stable_sort(steps, {}, &Step::time);
  return steps;
}

Status check_capacity(const TaskGraph& graph, const Network& network, std::span<const Step> steps) {
  const RouteTable& routes = graph.routes();
  struct Sending {
    int64_t flows = 0;
    RateUnits rate = 0;
  };
  IdVector<RouteId, Sending> sending(routes.size());
  IdVector<ResourceId, WorkUnits> load(network.size());
  for (size_t i = 0; i < steps.size();) {
    const size_t first = i;
    for (; i < steps.size() && steps[i].time == steps[first].time; ++i) {
      const Step& step = steps[i];
      Sending& state = sending[step.route];
      const WorkUnits before = WorkUnits{state.flows} * state.rate;
      state.flows += step.flows;
      if (step.rate >= 0) state.rate = step.rate;
      const WorkUnits after = WorkUnits{state.flows} * state.rate;
      for (ResourceId link : routes.links(step.route)) load[link] += after - before;
    }
    for (size_t k = first; k < i; ++k) {
      for (ResourceId link : routes.links(steps[k].route)) {
        if (load[link] <= to_rate_units(network[link].bandwidth)) continue;
        return bad_input(str_cat("at ", time_text(steps[k].time), " link ", link.value(),
                                 " carries ", static_cast<double>(load[link]) / kRateUnitsPerByte,
                                 " bytes per second, but its bandwidth is ",
                                 network[link].bandwidth.rate()));
      }
    }
  }
  return ok();
}

}  // namespace

Status check_flows(const TaskGraph& graph, const Network& network, const Timeline& timeline,
                   std::span<const RateChange> log) {
  const size_t tasks = graph.task_count();
  if (timeline.ready.size() != tasks || timeline.start.size() != tasks ||
      timeline.end.size() != tasks) {
    return bad_input(str_cat("the timeline does not have ", tasks, " tasks as the graph has"));
  }
  if (!std::ranges::is_sorted(log, {}, &RateChange::time)) {
    return bad_input("the log of rates is not in the order of time");
  }
  if (Status status = check_dependencies(graph, timeline); !status) return status;
  if (Status status = check_tasks(graph, network, timeline); !status) return status;

  IdVector<RouteId, SentByRoute> sent(graph.routes().size());
  for (const RateChange& change : log) sent[change.route].change_rate(change.time, change.rate);
  for (TaskId task : id_range<TaskId>(tasks)) {
    const Flow* flow = graph.flow(task);
    if (flow == nullptr) continue;
    if (graph.routes().links(flow->route).empty()) continue;
    if (Status status = check_flow(sent[flow->route], *flow, task, timeline); !status) {
      return status;
    }
  }
  return check_capacity(graph, network, all_steps(graph, timeline, log));
}

}  // namespace soapbox
