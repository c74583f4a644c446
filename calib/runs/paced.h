// Paced execution: a plan's own task graph on real threads whose tasks take their predicted time.
//
// Checks what a simulator can get wrong with given durations: order, dependencies, queueing,
// sharing of devices and links, real concurrency. It says nothing of the durations themselves.
//
// Time is stretched by `time_scale` (real seconds for each simulated one), so that tasks of
// microseconds last long beside the wake-ups of threads. Links either wait, too, or really send
// their bytes through loopback TCP, paced to the link's bandwidth (paced_link.h).
#pragma once

#include <functional>

#include "calib/runs/graph_run.h"
#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/engine/task_graph.h"

namespace soapbox::calib {

struct PacedSpec {
  double time_scale = 1;
  // By resource; those with a bandwidth send over TCP. Empty: everything waits.
  IdVector<ResourceId, BytesPerSecond> tcp_bandwidths = {};
  std::function<bool()> interrupted = [] { return false; };
};

// REQUIRES: graph.finish() was called; time_scale > 0.
Result<GraphRun> run_paced(const TaskGraph& graph, const PacedSpec& spec);

// By how much tasks ended after start + duration, at most in the share `q` of all that took time;
// seconds of real time.
double lateness_s(const TaskGraph& graph, const GraphRun& run, double time_scale, double q);

}  // namespace soapbox::calib
