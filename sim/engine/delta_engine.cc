#include "sim/engine/delta_engine.h"

#include <algorithm>
#include <limits>

namespace soapbox {

namespace {

// Sorted and without repeats.
void make_unique(std::vector<TaskId>& tasks) {
  std::sort(tasks.begin(), tasks.end());
  tasks.erase(std::unique(tasks.begin(), tasks.end()), tasks.end());
}

constexpr auto kLater = [](const auto& a, const auto& b) { return b.at < a.at; };

}  // namespace

DeltaEngine::DeltaEngine(size_t resource_count)
    : orders_(resource_count), work_ps_(resource_count, 0) {}

// ---- Editing

TaskId DeltaEngine::add_task(uint64_t key, ResourceId resource, Duration duration) {
  SOAPBOX_CHECK(duration >= Duration(), "negative duration");
  SOAPBOX_CHECK(resource.index() < orders_.size(), "no such resource");
  TaskId task;
  if (free_.empty()) {
    task = tasks_.push_back({});
    links_.push_back({});
  } else {
    task = free_.back();
    free_.pop_back();
  }
  Task fresh;
  fresh.duration_ps = duration.picoseconds();
  fresh.key = key;
  fresh.resource = resource.value();
  fresh.added = true;
  tasks_[task] = fresh;
  work_ps_[fresh.resource] += fresh.duration_ps;
  added_.push_back(task);
  return task;
}

void DeltaEngine::add_edge(TaskId from, TaskId to) {
  SOAPBOX_DCHECK(tasks_[from].added || tasks_[to].added, "an edge between two old tasks");
  SOAPBOX_DCHECK(tasks_[from].key < tasks_[to].key, "keys must follow the edges");
  links_[from].out.push_back(to);
  links_[to].in.push_back(from);
  if (!tasks_[to].added) neighbours_.push_back(to);
}

void DeltaEngine::remove_task(TaskId task) {
  SOAPBOX_CHECK(tasks_[task].state == State::kSettled, "only a committed task can be removed");
  tasks_[task].state = State::kRemoved;
  work_ps_[tasks_[task].resource] -= tasks_[task].duration_ps;
  removed_.push_back(task);
}

// Takes removed tasks out of the lists of those that stay, and remembers how to put them back.
void DeltaEngine::cut_links() {
  std::vector<TaskId> successors_changed;
  const auto removed = [this](TaskId task) { return tasks_[task].state == State::kRemoved; };
  for (const TaskId gone : removed_) {
    for (const TaskId before : links_[gone].in) {
      if (removed(before)) continue;
      cut_out_.emplace_back(before, gone);
      successors_changed.push_back(before);
    }
    for (const TaskId after : links_[gone].out) {
      if (removed(after)) continue;
      cut_in_.emplace_back(after, gone);
      neighbours_.push_back(after);
    }
  }
  make_unique(successors_changed);
  make_unique(neighbours_);
  for (const TaskId task : successors_changed) std::erase_if(links_[task].out, removed);
  for (const TaskId task : neighbours_) std::erase_if(links_[task].in, removed);
}

void DeltaEngine::restore_links() {
  const auto is_added = [this](TaskId task) { return tasks_[task].added; };
  std::vector<TaskId> sources;
  for (const TaskId task : added_) {
    for (const TaskId before : links_[task].in) {
      if (!is_added(before)) sources.push_back(before);
    }
  }
  make_unique(sources);
  for (const TaskId task : sources) std::erase_if(links_[task].out, is_added);
  for (const TaskId task : neighbours_) std::erase_if(links_[task].in, is_added);
  for (const auto& [task, gone] : cut_out_) links_[task].out.push_back(gone);
  for (const auto& [task, gone] : cut_in_) links_[task].in.push_back(gone);
}

// ---- The sweep

DeltaEngine::Task& DeltaEngine::touch(TaskId task) {
  Task& t = tasks_[task];
  if (!t.touched) {
    t.touched = true;
    touched_.push_back(task);
  }
  return t;
}

void DeltaEngine::schedule(Position at, TaskId task) {
  heap_.push_back({at, task});
  std::push_heap(heap_.begin(), heap_.end(), kLater);
}

void DeltaEngine::schedule_settled(TaskId task) {
  if (tasks_[task].visit_due) return;
  touch(task).visit_due = true;
  schedule(position(task), task);
}

DeltaEngine::Readiness DeltaEngine::readiness(TaskId task) const {
  Readiness result{true, 0};
  for (const TaskId before : links_[task].in) {
    const Task& t = tasks_[before];
    if (t.state == State::kWaiting) return {false, 0};
    result.ready_ps = std::max(result.ready_ps, t.end_ps);
  }
  return result;
}

uint32_t DeltaEngine::count_waiting(const std::vector<TaskId>& tasks) const {
  uint32_t count = 0;
  for (const TaskId task : tasks) count += tasks_[task].state == State::kWaiting ? 1 : 0;
  return count;
}

DeltaEngine::Order& DeltaEngine::open_order(uint32_t resource, Position at) {
  Order& order = orders_[resource];
  const auto before = [](const Entry& entry, const Position& limit) { return entry.at < limit; };
  if (!order.open) {
    const auto first = std::lower_bound(order.entries.begin(), order.entries.end(), at, before);
    order.kept = order.rest = static_cast<size_t>(first - order.entries.begin());
    order.done_ps = order.kept == 0 ? 0 : order.entries[order.kept - 1].done_ps;
    order.open = true;
    open_orders_.push_back(resource);
    return order;
  }
  while (order.rest < order.entries.size() && order.entries[order.rest].at < at) {
    const Entry& passed = order.entries[order.rest++];
    append(order, passed.at, passed.task);
  }
  return order;
}

void DeltaEngine::append(Order& order, Position at, TaskId task) {
  order.done_ps += tasks_[task].duration_ps;
  order.redone.push_back({at, task, order.done_ps});
}

int64_t DeltaEngine::previous_end(const Order& order) const {
  if (!order.redone.empty()) return tasks_[order.redone.back().task].end_ps;
  if (order.kept > 0) return tasks_[order.entries[order.kept - 1].task].end_ps;
  return 0;
}

// The next committed entry of a resource starts at another time if its predecessor there ends at
// one.
void DeltaEngine::check_follower(const Order& order, int64_t previous_end_ps) {
  if (order.rest == order.entries.size()) return;
  const TaskId task = order.entries[order.rest].task;
  const Task& t = tasks_[task];
  if (t.state != State::kSettled) return;  // has a visit of its own
  if (std::max(t.ready_ps, previous_end_ps) != t.end_ps - t.duration_ps) schedule_settled(task);
}

void DeltaEngine::seed_sweep() {
  for (const TaskId task : removed_) schedule(position(task), task);
  for (const TaskId task : added_) {
    tasks_[task].unmet = count_waiting(links_[task].in);
    if (tasks_[task].unmet == 0) schedule({readiness(task).ready_ps, tasks_[task].key}, task);
  }
  for (const TaskId task : neighbours_) {
    if (!readiness(task).met) schedule_settled(task);
    consider_earlier(task);
  }
}

// A settled task may be ready at another time than committed: visit it wherever it may be.
void DeltaEngine::consider_earlier(TaskId task) {
  const Readiness now = readiness(task);
  if (!now.met || now.ready_ps == tasks_[task].ready_ps) return;
  schedule_settled(task);
  if (now.ready_ps < tasks_[task].ready_ps) schedule({now.ready_ps, tasks_[task].key}, task);
}

void DeltaEngine::tell_successor(TaskId successor, int64_t old_end_ps, int64_t new_end_ps,
                                 bool was_waiting) {
  Task& t = tasks_[successor];
  if (t.state == State::kWaiting) {
    if (was_waiting) --touch(successor).unmet;
    if (t.unmet == 0) schedule({readiness(successor).ready_ps, t.key}, successor);
  } else if (t.state == State::kSettled) {
    if (new_end_ps > t.ready_ps) {
      schedule_settled(successor);
    } else if (was_waiting || new_end_ps < old_end_ps) {
      // An earlier end matters if the old one held the successor back, at its committed position or
      // (visit_due) at a tentative earlier one.
      if (was_waiting || t.visit_due || old_end_ps == t.ready_ps) consider_earlier(successor);
    }
  }
}

void DeltaEngine::start_waiting(TaskId task) {
  Task& t = touch(task);
  t.state = State::kWaiting;
  t.unmet = count_waiting(links_[task].in);
  for (const TaskId after : links_[task].out) {
    if (tasks_[after].state == State::kWaiting) ++touch(after).unmet;
    if (tasks_[after].state == State::kSettled) schedule_settled(after);
  }
}

void DeltaEngine::place(Position at, TaskId task, Order& order) {
  Task& t = touch(task);
  const bool was_waiting = t.state == State::kWaiting;
  const int64_t old_end_ps = t.end_ps;
  if (!t.added) journal_.push_back({task, t.ready_ps, t.end_ps});
  const int64_t start_ps = std::max(at.ready_ps, previous_end(order));
  SOAPBOX_CHECK(!__builtin_add_overflow(start_ps, t.duration_ps, &t.end_ps),
                "simulated time overflow");
  t.ready_ps = at.ready_ps;
  t.state = State::kPlaced;
  append(order, at, task);
  bound_ps_ = std::max(bound_ps_, t.end_ps + (work_ps_[t.resource] - order.done_ps));
  check_follower(order, t.end_ps);
  if (!was_waiting && t.end_ps == old_end_ps) return;
  for (const TaskId after : links_[task].out) {
    tell_successor(after, old_end_ps, tasks_[task].end_ps, was_waiting);
  }
}

// A visit to a task's committed entry: it stays there, or leaves.
void DeltaEngine::visit_entry(Position at, TaskId task, Order& order) {
  ++order.rest;
  Task& t = touch(task);
  if (t.state == State::kSettled) {
    const Readiness now = readiness(task);
    if (now.met && now.ready_ps == at.ready_ps) {
      place(at, task, order);
      return;
    }
    start_waiting(task);
    if (now.met) schedule({now.ready_ps, t.key}, task);
  }
  check_follower(order, previous_end(order));
}

void DeltaEngine::visit(Position at, TaskId task) {
  ++visits_;
  const Task& t = tasks_[task];
  if (t.state == State::kWaiting && t.unmet > 0) return;
  Order& order = open_order(t.resource, at);
  if (order.rest < order.entries.size() && order.entries[order.rest].task == task) {
    visit_entry(at, task, order);
    return;
  }
  if (t.state == State::kPlaced || t.state == State::kRemoved) return;
  const Readiness now = readiness(task);
  if (!now.met) return;  // a predecessor left meanwhile and will tell when it is placed
  if (now.ready_ps == at.ready_ps) {
    place(at, task, order);
  } else if (now.ready_ps > at.ready_ps) {
    if (t.state == State::kWaiting || now.ready_ps < t.ready_ps) {
      schedule({now.ready_ps, t.key}, task);
    }
  }
}

bool DeltaEngine::sweep(int64_t limit_ps) {
  bound_ps_ = 0;
  while (!heap_.empty()) {
    const Visit next = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    heap_.pop_back();
    visit(next.at, next.task);
    if (bound_ps_ > limit_ps) return false;
  }
  return true;
}

std::optional<SimTime> DeltaEngine::repair(std::optional<SimTime> limit) {
  cut_links();
  seed_sweep();
  const int64_t limit_ps = limit ? limit->picoseconds() : std::numeric_limits<int64_t>::max();
  if (!sweep(limit_ps)) return std::nullopt;
  const SimTime result = makespan();
  if (result.picoseconds() > limit_ps) return std::nullopt;
  return result;
}

SimTime DeltaEngine::makespan() const {
  int64_t latest = 0;  // a resource's last task ends last
  for (const Order& order : orders_) {
    if (order.open && order.rest == order.entries.size()) {
      latest = std::max(latest, previous_end(order));
    } else if (!order.entries.empty()) {
      latest = std::max(latest, tasks_[order.entries.back().task].end_ps);
    }
  }
  return SimTime(latest);
}

// ---- Ending a change

void DeltaEngine::close_orders(bool keep) {
  for (const uint32_t resource : open_orders_) {
    Order& order = orders_[resource];
    if (keep) {
      const size_t same = std::min(order.redone.size(), order.rest - order.kept);
      const auto at = order.entries.begin() + static_cast<std::ptrdiff_t>(order.kept);
      const auto middle = order.redone.begin() + static_cast<std::ptrdiff_t>(same);
      std::copy(order.redone.begin(), middle, at);
      const auto gap = at + static_cast<std::ptrdiff_t>(same);
      const auto rest = order.entries.begin() + static_cast<std::ptrdiff_t>(order.rest);
      const auto after =
          order.entries.insert(order.entries.erase(gap, rest), middle, order.redone.end()) +
          (order.redone.end() - middle);
      int64_t done_ps = order.done_ps;
      for (auto entry = after; entry != order.entries.end(); ++entry) {
        entry->done_ps = done_ps += tasks_[entry->task].duration_ps;
      }
    }
    order.redone.clear();
    order.open = false;
  }
  open_orders_.clear();
}

void DeltaEngine::release(TaskId task) {
  links_[task].in.clear();
  links_[task].out.clear();
  tasks_[task].state = State::kRemoved;
  free_.push_back(task);
}

void DeltaEngine::finish_change() {
  heap_.clear();
  for (const TaskId task : touched_) {
    tasks_[task].touched = false;
    tasks_[task].visit_due = false;
  }
  for (auto* list : {&added_, &removed_, &neighbours_, &touched_}) list->clear();
  cut_in_.clear();
  cut_out_.clear();
  journal_.clear();
}

void DeltaEngine::commit() {
  SOAPBOX_CHECK(heap_.empty(), "commit of an unfinished repair");
  close_orders(true);
  for (const TaskId task : added_) tasks_[task].added = false;
  for (const TaskId task : touched_) {
    if (tasks_[task].state == State::kPlaced) tasks_[task].state = State::kSettled;
    SOAPBOX_CHECK(tasks_[task].state != State::kWaiting, "a task that can never start");
  }
  for (const TaskId task : removed_) release(task);
  finish_change();
}

void DeltaEngine::rollback() {
  close_orders(false);
  restore_links();
  for (const TaskId task : touched_) {
    if (!tasks_[task].added) tasks_[task].state = State::kSettled;
  }
  // Newest first: a task is journalled once per placement, and placed once per sweep.
  for (size_t i = journal_.size(); i-- > 0;) {
    tasks_[journal_[i].task].ready_ps = journal_[i].ready_ps;
    tasks_[journal_[i].task].end_ps = journal_[i].end_ps;
  }
  for (const TaskId task : removed_) {
    tasks_[task].state = State::kSettled;
    work_ps_[tasks_[task].resource] += tasks_[task].duration_ps;
  }
  for (const TaskId task : added_) {
    work_ps_[tasks_[task].resource] -= tasks_[task].duration_ps;
    tasks_[task].added = false;
    release(task);
  }
  finish_change();
}

}  // namespace soapbox
