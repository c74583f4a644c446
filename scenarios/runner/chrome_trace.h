// A simulated iteration as a timeline that chrome://tracing and https://ui.perfetto.dev open.
#pragma once

#include <string>

#include "sim/parallel/simulate_parallel.h"
#include "sim/simulate/simulate.h"

namespace soapbox::runner {

// Trace Event Format, JSON object form: one complete event per task; a process for each node and
// one for the links between nodes, a thread for each device and each link that carries anything.
// Times are microseconds with all six decimals, so no picosecond is lost. The memory of each device
// is a counter, by component in bytes.
std::string chrome_trace(const Problem& problem, const Run& run);

// The same of a Transformer plan: a process for each stage, and for each of its simulated ranks
// (one, where ranks are folded) a thread for kernels, one for exchanges that they wait for, one for
// parameters and gradients, and two for what goes to the next and the previous stage. The memory of
// a device of each stage is a counter, before the first and after each pass: what passes need only
// while they run is not in it.
std::string chrome_trace(const ParallelRun& run);

}  // namespace soapbox::runner
