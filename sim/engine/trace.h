// The identity of a simulated run.
#pragma once

#include <cstdint>

#include "sim/engine/engine.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

// A 64-bit hash over every task's resource, start and end in the order of ids. Stable between
// machines and releases, so it may be stored; equal runs have equal hashes. About 2 ns per task.
uint64_t trace_hash(const TaskGraph& graph, const Timeline& timeline);

}  // namespace soapbox
