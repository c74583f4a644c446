// Runs a task graph for real: one thread for each resource, tasks in the order in which they become
// ready, hand-overs between threads. What a task does is the caller's: wait (paced.h), compute or
// copy (mixed_run.h).
//
// The rule is the simulator's (sim/engine/engine.h): a resource runs one task at a time, first come
// first served, of several that one event made ready the smallest id first. The clock is the real
// one: a task starts when its thread has seen it, and whatever is late delays all that follows.
// Resources whose tasks all take no time (barriers) have no thread; their tasks end when they
// become ready.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "sim/base/result.h"
#include "sim/engine/engine.h"
#include "sim/engine/task_graph.h"

namespace soapbox::calib {

inline constexpr size_t kMostThreads = 1024;

struct GraphRunSpec {
  // Performs a task that starts at `start_ns` (precise_wait.h), on its resource's thread. It should
  // return early once `stop` is true.
  std::function<Status(TaskId task, int64_t start_ns, const std::atomic<bool>& stop)> perform;
  // Whether a resource has a thread of its own. The tasks of one that has none are performed by the
  // thread that makes them ready, at once and perhaps several at a time.
  std::function<bool(ResourceId)> has_thread = [](ResourceId) { return true; };
  // A thread without work looks for some as long before it sleeps: where a core is its own, a
  // hand-over then takes a microsecond instead of a wake-up.
  int64_t spin_ns = 0;
  // The first thing that a resource's thread does, e.g. pinning itself to a core.
  std::function<void(ResourceId)> enter = [](ResourceId) {};
  // Asked several times a second by the calling thread; true ends the run.
  std::function<bool()> interrupted = [] { return false; };
};

struct GraphRun {
  // Nanoseconds since the moment at which the first tasks could start.
  IdVector<TaskId, int64_t> ready_ns;
  IdVector<TaskId, int64_t> start_ns;
  IdVector<TaskId, int64_t> end_ns;
  int64_t makespan_ns = 0;
};

// The resources that need a thread, ascending.
std::vector<ResourceId> busy_resources(const TaskGraph& graph);

// Fails with kInterrupted, with the first error of `perform`, or where more than kMostThreads
// threads would be needed. REQUIRES: graph.finish() was called.
Result<GraphRun> run_graph(const TaskGraph& graph, const GraphRunSpec& spec);

// The same as a timeline of simulated time: `time_scale` real seconds are one second of it.
Timeline to_timeline(const GraphRun& run, double time_scale);

}  // namespace soapbox::calib
