// The shortest path through the layers of one stage within its memory: one
// entry of a stage table.
//
//   min  time of the path   s.t.  memory of the path <= limit,  first and last
//   strategy given
//
// A resource-constrained shortest path on a layered graph (Handler and Zang,
// Networks 10, 1980):
// 1. a line search for the multiplier lambda of the memory row that gives the
// best bound
//    min (time + lambda memory) - lambda limit, and feasible paths on the way;
// 2. label setting from both ends to the middle, Pareto optimal in (time,
// memory), each label cut
//    by three completions (time, memory, time + lambda memory to go); the two
//    halves are joined by one sweep over both fronts.
// Lagrangian values are real numbers: their rounding is bounded and subtracted,
// so every bound holds. Times are whole, so a bound is rounded up.
#pragma once

#include <cstdint>
#include <vector>

#include "strategies/miqp/stage_costs.h"

namespace soapbox::miqp {

inline constexpr int kAnyStrategy = -1;

struct PathQuery {
  size_t group = 0;
  Kind kind = Kind::kPlain;
  size_t first = 0;  // positions of the stage, both included
  size_t last = 0;
  int first_strategy = kAnyStrategy;
  int last_strategy = kAnyStrategy;
  double cut = kInfinity;  // paths of this time or more are of no use
  uint64_t label_limit = 4000000;
};

struct PathAnswer {
  double lower = 0;          // no path is shorter; kInfinity: none fits
  double upper = kInfinity;  // the time of `path`
  std::vector<uint16_t> path;
  double lambda = 0;  // of the best bound
  uint64_t labels = 0;
  bool exact() const { return lower == upper; }
};

PathAnswer shortest_path(const StageCosts& costs, const PathQuery& query);

// The same for the stage after the hub's (Kind::kFollow), whose value is its
// own time and what its readers pay at the boundary: the first is at most
// `most_time`, the second at most `most_extra`. Plain label setting with
// dominance in all three.
PathAnswer shortest_follower(const StageCosts& costs, const PathQuery& query, double most_time,
                             double most_extra);

}  // namespace soapbox::miqp
