#include "sim/engine/flow_engine.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace soapbox {
namespace {

// What is left of tasks is counted in 2^-20 of a picosecond at full speed.
constexpr int64_t kFullSpeed = int64_t{1} << 20;
// Picoseconds per second: a byte is this many units of (1/64 B/s) x 1 ps, times 64.
constexpr WorkUnits kWorkPerByte = WorkUnits{1'000'000'000'000} * kRateUnitsPerByte;

// The first moment at which `work` is done at `speed` from `now` on.
SimTime finish_time(SimTime now, WorkUnits work, int64_t speed) {
  const WorkUnits picoseconds = (work + speed - 1) / speed;
  SOAPBOX_CHECK(picoseconds <= std::numeric_limits<int64_t>::max(), "simulated time overflow");
  return now + Duration(static_cast<int64_t>(picoseconds));
}

WorkUnits work_done(SimTime from, SimTime to, int64_t speed) {
  return WorkUnits{(to - from).picoseconds()} * speed;
}

int64_t slowed(int64_t speed, double slowdown) {
  SOAPBOX_CHECK(slowdown >= 1 && slowdown < 1e6, "a slowdown is a factor from 1 to 1e6");
  if (slowdown == 1) return speed;
  return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(speed) / slowdown));
}

// Targets are in a heap whose front is the first to be reached.
constexpr auto later_target = [](const auto& a, const auto& b) {
  return a.sent != b.sent ? a.sent > b.sent : a.task > b.task;
};

}  // namespace

void FlowEngine::run(const TaskGraph& graph, const Network& network, Timeline& timeline,
                     std::vector<RateChange>* log) {
  log_ = log;
  reset(graph, network, timeline);
  do {
    handle_moment();
  } while (next_moment());
}

bool FlowEngine::run_until(SimTime limit, const TaskGraph& graph, const Network& network,
                           Timeline& timeline) {
  log_ = nullptr;
  reset(graph, network, timeline);
  do {
    handle_moment();
  } while (next_moment() && now_ <= limit);  // something ends at or after the next moment
  return now_ <= limit;
}

void FlowEngine::handle_moment() {
  end_everything_due();
  start_everything_ready();
  review_disturbance();
  share();
}

void FlowEngine::reset(const TaskGraph& graph, const Network& network, Timeline& timeline) {
  SOAPBOX_CHECK(graph.finished(), "the graph is not finished");
  SOAPBOX_CHECK(network.size() == graph.resource_count(), "not the network of this graph");
  graph_ = &graph;
  network_ = &network;
  timeline_ = &timeline;
  const size_t tasks = graph.task_count();
  timeline.ready.assign(tasks, SimTime());
  timeline.start.resize(tasks);
  timeline.end.resize(tasks);
  timeline.makespan = now_ = SimTime();
  timeline.events = tasks;
  if (log_ != nullptr) log_->clear();

  const RouteTable& routes = graph.routes();
  IdVector<ResourceId, RateUnits> capacities(network.size());
  alone_.assign(routes.size(), kUnlimitedRate);
  for (RouteId route : id_range<RouteId>(routes.size())) {
    for (ResourceId link : routes.links(route)) {
      capacities[link] = to_rate_units(network[link].bandwidth);
      alone_[route] = std::min(alone_[route], capacities[link]);
    }
  }
  shares_.reset(routes, capacities);
  routes_.resize(routes.size());
  for (RouteState& route : routes_) {
    route.sent = 0;
    route.as_of = SimTime();
    route.rate = 0;
    route.targets.clear();
  }
  resources_.assign(graph.resource_count(), ResourceState{});
  finishes_.reset(graph.resource_count() + routes.size());
  arrivals_.clear();
  review_.clear();
  unmet_ = graph.predecessor_counts();
  next_waiting_.assign(tasks, TaskId());
  index_ends();
  ready_.clear();
  for (TaskId task : id_range<TaskId>(tasks)) {
    if (unmet_[task] == 0) ready_.push_back(task);  // ascending: a heap
  }
}

void FlowEngine::index_ends() {
  const RouteTable& routes = graph_->routes();
  ends_rows_.assign(resources_.size() + 1, 0);
  const auto for_each_end = [&](auto visit) {
    for (RouteId route : id_range<RouteId>(routes.size())) {
      const ResourceId from = routes.from(route);
      const ResourceId to = routes.to(route);
      if (from.valid()) visit(from, route);
      if (to.valid() && to != from) visit(to, route);
    }
  };
  for_each_end([&](ResourceId end, RouteId) { ++ends_rows_[end.index() + 1]; });
  for (size_t i = 1; i < ends_rows_.size(); ++i) ends_rows_[i] += ends_rows_[i - 1];
  ends_.resize(ends_rows_.back());
  std::vector<uint32_t> next(ends_rows_.begin(), ends_rows_.end() - 1);
  for_each_end([&](ResourceId end, RouteId route) { ends_[next[end.index()]++] = route; });
}

void FlowEngine::end_everything_due() {
  while (!arrivals_.empty() && arrivals_.front().time == now_) {
    std::ranges::pop_heap(arrivals_, std::greater());
    const TaskId task = arrivals_.back().task;
    arrivals_.pop_back();
    begin_sending(task);
  }
  while (!finishes_.empty() && finishes_.top_time() == now_) {
    const uint32_t due = finishes_.top_slot();
    finishes_.remove(due);
    if (due >= resources_.size()) {
      end_flows(RouteId(due - static_cast<uint32_t>(resources_.size())));
    } else {
      const ResourceId resource(due);
      complete(resources_[resource].running);
      resources_[resource].running = TaskId();
      run_next(resource);
    }
  }
}

void FlowEngine::start_everything_ready() {
  while (!ready_.empty()) {
    std::ranges::pop_heap(ready_, std::greater());
    const TaskId task = ready_.back();
    ready_.pop_back();
    start(task);
  }
}

void FlowEngine::complete(TaskId task) {
  timeline_->end[task] = now_;
  timeline_->makespan = std::max(timeline_->makespan, now_);
  for (TaskId successor : graph_->successors(task)) {
    if (--unmet_[successor] > 0) continue;
    timeline_->ready[successor] = now_;
    ready_.push_back(successor);
    std::ranges::push_heap(ready_, std::greater());
  }
}

void FlowEngine::start(TaskId task) {
  const Flow* flow = graph_->flow(task);
  if (flow == nullptr) {
    wait(task);
    run_next(graph_->resource(task));
    return;
  }
  timeline_->start[task] = now_;
  if (flow->latency == Duration()) {
    begin_sending(task);
  } else {
    arrivals_.push_back(Arrival{now_ + flow->latency, task});
    std::ranges::push_heap(arrivals_, std::greater());
  }
}

void FlowEngine::wait(TaskId task) {
  ResourceState& resource = resources_[graph_->resource(task)];
  if (resource.first_waiting.valid()) {
    next_waiting_[resource.last_waiting] = task;
  } else {
    resource.first_waiting = task;
  }
  resource.last_waiting = task;
}

// Runs waiting tasks until one takes time.
void FlowEngine::run_next(ResourceId id) {
  ResourceState& resource = resources_[id];
  queue_for_review(id);
  while (!resource.running.valid() && resource.first_waiting.valid()) {
    const TaskId task = resource.first_waiting;
    resource.first_waiting = next_waiting_[task];
    timeline_->start[task] = now_;
    const Duration duration = graph_->duration(task);
    if (duration == Duration()) {
      complete(task);
      continue;
    }
    resource.running = task;
    resource.left = WorkUnits{duration.picoseconds()} * kFullSpeed;
    resource.as_of = now_;
    resource.speed = 0;  // until set_speed()
    set_speed(id);
  }
}

void FlowEngine::begin_sending(TaskId task) {
  const Flow& flow = *graph_->flow(task);
  if (flow.bytes == Bytes() || graph_->routes().links(flow.route).empty()) {
    complete(task);
    return;
  }
  RouteState& route = routes_[flow.route];
  advance(flow.route);
  route.targets.push_back(Target{route.sent + WorkUnits{flow.bytes.count()} * kWorkPerByte, task});
  std::ranges::push_heap(route.targets, later_target);
  set_finish(flow.route);
  shares_.add_flow(flow.route);
  note_ends(flow.route, 1);
}

void FlowEngine::end_flows(RouteId id) {
  RouteState& route = routes_[id];
  advance(id);
  while (!route.targets.empty() && route.targets.front().sent <= route.sent) {
    const TaskId task = route.targets.front().task;
    std::ranges::pop_heap(route.targets, later_target);
    route.targets.pop_back();
    shares_.remove_flow(id);
    note_ends(id, -1);
    complete(task);
  }
  set_finish(id);
}

void FlowEngine::note_ends(RouteId route, int change) {
  const ResourceId from = graph_->routes().from(route);
  const ResourceId to = graph_->routes().to(route);
  const auto note = [&](ResourceId end) {
    resources_[end].sending_flows += static_cast<uint32_t>(change);
    queue_for_review(end);
  };
  if (from.valid()) note(from);
  if (to.valid() && to != from) note(to);
}

void FlowEngine::queue_for_review(ResourceId id) {
  const SharedResource& spec = (*network_)[id];
  if (spec.task_slowdown == 1 && spec.flow_slowdown == 1) return;
  if (resources_[id].queued_for_review) return;
  resources_[id].queued_for_review = true;
  review_.push_back(id);
}

// What runs and what is sent at each end is known only now that the moment is over.
void FlowEngine::review_disturbance() {
  for (ResourceId id : review_) {
    ResourceState& resource = resources_[id];
    resource.queued_for_review = false;
    if (resource.running.valid() && resource.disturbed != (resource.sending_flows > 0)) {
      set_speed(id);
    }
    if (resource.busy != resource.running.valid()) {
      resource.busy = resource.running.valid();
      review_caps(id);
    }
  }
  review_.clear();
}

void FlowEngine::review_caps(ResourceId resource) {
  const RouteTable& routes = graph_->routes();
  const auto slowdown = [&](ResourceId end) {
    return end.valid() && resources_[end].busy ? (*network_)[end].flow_slowdown : 1.0;
  };
  for (uint32_t i = ends_rows_[resource.index()]; i < ends_rows_[resource.index() + 1]; ++i) {
    const RouteId route = ends_[i];
    const double worst = std::max(slowdown(routes.from(route)), slowdown(routes.to(route)));
    shares_.set_cap(route, worst == 1 ? kUnlimitedRate : slowed(alone_[route], worst));
  }
}

void FlowEngine::set_speed(ResourceId id) {
  ResourceState& resource = resources_[id];
  resource.left -= work_done(resource.as_of, now_, resource.speed);
  resource.as_of = now_;
  resource.disturbed = resource.sending_flows > 0;
  resource.speed =
      resource.disturbed ? slowed(kFullSpeed, (*network_)[id].task_slowdown) : kFullSpeed;
  finishes_.set(slot(id), finish_time(now_, resource.left, resource.speed));
}

void FlowEngine::share() {
  for (RouteId id : shares_.solve()) {
    advance(id);
    routes_[id].rate = shares_.rate(id);
    set_finish(id);
    ++timeline_->events;
    if (log_ != nullptr) log_->push_back(RateChange{now_, id, routes_[id].rate});
  }
}

// Brings the count of what was sent up to now.
void FlowEngine::advance(RouteId id) {
  RouteState& route = routes_[id];
  route.sent += work_done(route.as_of, now_, route.rate);
  route.as_of = now_;
}

// REQUIRES: advance(route) at this moment.
void FlowEngine::set_finish(RouteId id) {
  RouteState& route = routes_[id];
  if (route.targets.empty()) {
    route.sent = 0;
    finishes_.remove(slot(id));
  } else if (route.rate > 0) {  // otherwise its first rate is about to come
    finishes_.set(slot(id), finish_time(now_, route.targets.front().sent - route.sent, route.rate));
  }
}

bool FlowEngine::next_moment() {
  if (arrivals_.empty() && finishes_.empty()) return false;
  now_ = finishes_.empty() ? arrivals_.front().time : finishes_.top_time();
  if (!arrivals_.empty()) now_ = std::min(now_, arrivals_.front().time);
  return true;
}

}  // namespace soapbox
