// Which parts of a weight are replicated where.
//
// Every task that uses a weight needs a rectangle of it. The rectangles' boundaries cut the weight
// into cells; the cells held by one same set of devices form one slice, which is synchronised once
// over that set, however many operators (unrolled steps) and tasks use it. Slices are disjoint and
// cover what is used. O(tasks x cells inside their rectangles).
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "sim/model/graph.h"
#include "sim/plan/plan.h"

namespace soapbox {

// A backward task, by operator and piece.
struct BackwardTask {
  OpId op;
  uint32_t piece = 0;
  friend auto operator<=>(const BackwardTask&, const BackwardTask&) = default;
};

struct WeightReplica {
  DeviceId device;
  std::vector<BackwardTask> contributors;  // each adds a part of this replica's gradient; ascending
};

struct WeightSlice {
  Bytes parameters;
  Bytes bytes;                          // of its gradient
  std::vector<WeightReplica> replicas;  // by device
};

std::vector<WeightSlice> weight_slices(const OpGraph& graph, WeightId weight, const Plan& plan);

}  // namespace soapbox
