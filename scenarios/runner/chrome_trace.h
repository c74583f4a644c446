// A simulated iteration as a timeline that chrome://tracing and https://ui.perfetto.dev open.
#pragma once

#include <string>

#include "sim/simulate/simulate.h"

namespace soapbox::runner {

// Trace Event Format, JSON object form: one complete event per task; a process for each node and
// one for the links between nodes, a thread for each device and each link that carries anything.
// Times are microseconds with all six decimals, so no picosecond is lost.
std::string chrome_trace(const Problem& problem, const Run& run);

}  // namespace soapbox::runner
