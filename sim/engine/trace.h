// What a simulated run looked like: a stable hash, a Chrome/Perfetto trace, a Graphviz graph.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "sim/engine/engine.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

// A 64-bit hash over every task's resource, start and end in the order of ids. Stable between
// machines and releases, so it may be stored; equal runs have equal hashes. About 2 ns per task.
uint64_t trace_hash(const TaskGraph& graph, const Timeline& timeline);

// The engine knows no names; whoever built the graph does. Names are UTF-8; any of these may be
// empty.
struct TraceNames {
  std::function<std::string(TaskId)> task;          // default: "task 7"
  std::function<std::string(TaskId)> category;      // default: none
  std::function<std::string(ResourceId)> resource;  // default: "resource 3"
};

// Trace Event Format (JSON), as chrome://tracing and ui.perfetto.dev read it: one process, one row
// per resource, one complete event per task. Times are exact: microseconds with six decimals.
void write_chrome_trace(std::ostream& out, const TaskGraph& graph, const Timeline& timeline,
                        const TraceNames& names);

// Graphviz: one node per task with its name, resource and times in microseconds.
void write_dot(std::ostream& out, const TaskGraph& graph, const Timeline& timeline,
               const TraceNames& names);

}  // namespace soapbox
