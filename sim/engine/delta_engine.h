// Delta simulation: after a change of some tasks, repair the timeline instead of computing it anew.
//
// The result equals a full run (engine.h) to the picosecond: the rules are the same, and the repair
// is a simulation in time order of only what differs. FlexFlow (SysML 2019, section 5.3) describes
// a label-correcting repair; this engine sweeps instead, so that a value is final once it is set:
//
//   Every task has a position (ready time, key). The sweep visits positions in ascending order. A
//   task whose surroundings changed is visited at its old position, where it either stays, with a
//   new end perhaps, or is vacated; and at its new position, where it is placed. Whoever comes next
//   on the same resource, and every successor, is visited in turn only if the new end can matter to
//   it. Where nothing changes, nothing is visited.
//
// Cost: O(log) per visited position, O(1) memory writes per changed task, plus one pass over the
// part of a resource's order between its first and last change. Undo replays a journal of the
// changed values, so a rejected proposal costs no second simulation. A limit ends the sweep as soon
// as the makespan provably exceeds it.
//
// Keys are the structural order: unique, and a predecessor's key is below its successors'.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/units.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

class DeltaEngine {
 public:
  explicit DeltaEngine(size_t resource_count);

  // Editing. Edits made since the last commit() or rollback() form one change. An edge joins two
  // tasks of which at least one was added in this change; removing a task removes its edges.
  TaskId add_task(uint64_t key, ResourceId resource, Duration duration);
  void add_edge(TaskId from, TaskId to);
  void remove_task(TaskId task);

  // Repairs the timeline for the pending edits and returns the makespan; nothing if it provably
  // exceeds `limit` (then only rollback() may follow). Call once per change.
  std::optional<SimTime> repair(std::optional<SimTime> limit = {});
  void commit();
  void rollback();

  SimTime makespan() const;
  SimTime ready(TaskId task) const { return SimTime(tasks_[task].ready_ps); }
  SimTime end(TaskId task) const { return SimTime(tasks_[task].end_ps); }
  SimTime start(TaskId task) const {
    return SimTime(tasks_[task].end_ps - tasks_[task].duration_ps);
  }
  uint64_t key(TaskId task) const { return tasks_[task].key; }
  // Positions visited by all repairs so far: what delta simulation costs.
  uint64_t visits() const { return visits_; }

 private:
  enum class State : uint8_t {
    kSettled,  // where the last committed timeline has it
    kWaiting,  // added or vacated; not placed yet
    kPlaced,   // placed by this sweep: final
    kRemoved,
  };
  struct Task {
    int64_t ready_ps = 0;
    int64_t end_ps = 0;
    int64_t duration_ps = 0;
    uint64_t key = 0;
    uint32_t resource = 0;
    uint32_t unmet = 0;  // kWaiting: predecessors that are waiting themselves
    State state = State::kWaiting;
    bool visit_due = false;  // a visit at its committed position is scheduled
    bool touched = false;    // some field above was changed by this sweep
    bool added = false;      // by the pending change
  };
  struct Position {
    int64_t ready_ps;
    uint64_t key;
    friend auto operator<=>(const Position&, const Position&) = default;
  };
  struct Visit {
    Position at;
    TaskId task;
  };
  struct Entry {
    Position at;
    TaskId task;
    int64_t done_ps;  // work of the resource up to and including this task
  };
  // A resource's tasks by position. During a sweep: [0, kept) stands, then come `redone`, then the
  // entries from `rest` on, which the sweep has not reached.
  struct Order {
    std::vector<Entry> entries;
    std::vector<Entry> redone;
    size_t kept = 0;
    size_t rest = 0;
    int64_t done_ps = 0;  // work of the kept and redone entries
    bool open = false;
  };
  struct Saved {
    TaskId task;
    int64_t ready_ps;
    int64_t end_ps;
  };
  struct Links {
    std::vector<TaskId> in;
    std::vector<TaskId> out;
  };

  Position position(TaskId task) const { return {tasks_[task].ready_ps, tasks_[task].key}; }
  void schedule(Position at, TaskId task);
  void schedule_settled(TaskId task);  // a visit at its committed position
  Task& touch(TaskId task);

  void cut_links();
  void restore_links();
  void seed_sweep();
  bool sweep(int64_t limit_ps);
  void visit(Position at, TaskId task);
  void visit_entry(Position at, TaskId task, Order& order);
  void place(Position at, TaskId task, Order& order);
  void start_waiting(TaskId task);
  void tell_successor(TaskId successor, int64_t old_end_ps, int64_t new_end_ps, bool was_waiting);
  void consider_earlier(TaskId task);

  struct Readiness {
    bool met;          // no predecessor is waiting
    int64_t ready_ps;  // the latest end of the others
  };
  Readiness readiness(TaskId task) const;
  uint32_t count_waiting(const std::vector<TaskId>& tasks) const;

  Order& open_order(uint32_t resource, Position at);
  void append(Order& order, Position at, TaskId task);
  int64_t previous_end(const Order& order) const;
  void check_follower(const Order& order, int64_t previous_end_ps);
  void close_orders(bool keep);
  void release(TaskId task);
  void finish_change();

  IdVector<TaskId, Task> tasks_;
  IdVector<TaskId, Links> links_;
  std::vector<Order> orders_;
  std::vector<int64_t> work_ps_;  // of each resource, pending edits included
  std::vector<uint32_t> open_orders_;
  std::vector<Visit> heap_;
  std::vector<TaskId> free_;
  std::vector<TaskId> added_;
  std::vector<TaskId> removed_;
  std::vector<TaskId> neighbours_;                  // settled tasks with other predecessors now
  std::vector<std::pair<TaskId, TaskId>> cut_in_;   // (settled task, its removed predecessor)
  std::vector<std::pair<TaskId, TaskId>> cut_out_;  // (settled task, its removed successor)
  std::vector<TaskId> touched_;
  std::vector<Saved> journal_;
  int64_t bound_ps_ = 0;  // no makespan of this sweep is below it
  uint64_t visits_ = 0;
};

}  // namespace soapbox
