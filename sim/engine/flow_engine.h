// Event-driven simulation of a task graph whose flows share links (network fidelity `fair`).
//
// Tasks that are no flows run first in, first out on their resources, by the rule of engine.h;
// without flows the two engines give the same timeline. A flow starts when it is ready, waits its
// latency, then sends its bytes at its max-min fair rate (fair_share.h) and ends with the last of
// them.
//
// Disturbance: where a route names the resources at its ends, tasks and flows slow each other down.
//   a task runs at 1 / task_slowdown of its speed while at least one flow that is sending begins or
//   ends at its resource; a flow sends at most at 1 / flow_slowdown of what its route would give it
//   alone while a task runs at either end (the larger factor of the two ends).
//
// Exactness. Speeds are piecewise constant: they change only at events, and all events of one
// moment are handled before they change. What is left of a flow or a task is an integer (128 bits)
// in units of (1/64 byte/s) x 1 ps or (2^-20) x 1 ps, so that no rounding depends on when or how
// often a rate changed. A flow ends at the first picosecond at which all of its bytes are sent.
//
// Order at one moment: first everything that ends; then, one by one in the order of ids, every task
// that is ready; a task without duration ends at once and its successors join. Tasks on one
// resource are therefore in the order of (ready, id).
//
// Flows on the same route have the same rate at all times, so the route keeps one count of what
// each of its flows was sent, and a flow is done when the count reaches its target.
//
// O(log) for each event, plus the re-sharing (fair_share.h) at each moment at which flows start or
// end.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/units.h"
#include "sim/engine/engine.h"
#include "sim/engine/fair_share.h"
#include "sim/engine/indexed_heap.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

__extension__ using WorkUnits = __int128;

// What sharing needs to know of a resource.
struct SharedResource {
  BytesPerSecond bandwidth;  // of a link; unused where no route crosses
  double task_slowdown = 1;  // >= 1: of tasks here while flows begin or end here
  double flow_slowdown = 1;  // >= 1: of flows that begin or end here while a task runs here
};
using Network = IdVector<ResourceId, SharedResource>;

// From `time` on, each flow on the route is sent at this rate.
struct RateChange {
  SimTime time;
  RouteId route;
  RateUnits rate = 0;
};

class FlowEngine {
 public:
  // Where not null, `log` receives every change of a rate, in the order of time.
  // Timeline: a flow's start is when it is ready. events: tasks started, and changes of rates.
  // REQUIRES: finished graph; network has its resources, and the links of its routes have
  // bandwidth.
  void run(const TaskGraph& graph, const Network& network, Timeline& timeline,
           std::vector<RateChange>* log = nullptr);
  // The same, but stops where the makespan is known to exceed `limit`: false, and half a timeline.
  bool run_until(SimTime limit, const TaskGraph& graph, const Network& network, Timeline& timeline);

 private:
  struct Arrival {  // of a flow's first byte
    SimTime time;
    TaskId task;
    friend constexpr auto operator<=>(const Arrival&, const Arrival&) = default;
  };
  struct Target {
    WorkUnits sent;  // value of RouteState::sent at which the flow is done
    TaskId task;
  };
  struct RouteState {
    WorkUnits sent =
        0;  // by each flow that has been there since the route was last empty, at `as_of`
    SimTime as_of;
    RateUnits rate = 0;           // of each of its flows
    std::vector<Target> targets;  // heap, smallest first
  };
  struct ResourceState {
    TaskId running;
    TaskId first_waiting;
    TaskId last_waiting;
    WorkUnits left = 0;  // of the running task, at `as_of`
    SimTime as_of;
    int64_t speed = 0;           // of the running task
    uint32_t sending_flows = 0;  // that begin or end here
    bool disturbed = false;      // the speed takes flows into account
    bool busy = false;           // the caps take the running task into account
    bool queued_for_review = false;
  };

  void reset(const TaskGraph& graph, const Network& network, Timeline& timeline);
  void index_ends();
  void end_everything_due();
  void start_everything_ready();
  void complete(TaskId task);
  void start(TaskId task);
  void wait(TaskId task);
  void run_next(ResourceId resource);
  void begin_sending(TaskId task);
  void end_flows(RouteId route);
  void note_ends(RouteId route, int change);
  void queue_for_review(ResourceId resource);
  void review_disturbance();
  void review_caps(ResourceId resource);
  void set_speed(ResourceId resource);
  void share();
  void set_finish(RouteId route);
  void advance(RouteId route);
  void handle_moment();
  bool next_moment();

  // A slot of finishes_ is a resource or, after all resources, a route.
  uint32_t slot(ResourceId resource) const { return resource.value(); }
  uint32_t slot(RouteId route) const {
    return static_cast<uint32_t>(resources_.size()) + route.value();
  }

  // Of the current run.
  const TaskGraph* graph_ = nullptr;
  const Network* network_ = nullptr;
  Timeline* timeline_ = nullptr;
  std::vector<RateChange>* log_ = nullptr;

  SimTime now_;
  FairShare shares_;
  IndexedHeap finishes_;
  std::vector<Arrival> arrivals_;  // heap, smallest first
  std::vector<TaskId> ready_;      // now, heap by id
  std::vector<ResourceId> review_;
  IdVector<RouteId, RouteState> routes_;
  IdVector<RouteId, RateUnits> alone_;  // the rate of a flow that has its route for itself
  IdVector<ResourceId, ResourceState> resources_;
  IdVector<TaskId, uint32_t> unmet_;
  IdVector<TaskId, TaskId> next_waiting_;
  std::vector<uint32_t> ends_rows_;  // of a resource in ends_
  std::vector<RouteId> ends_;        // the routes that begin or end at each resource
};

}  // namespace soapbox
