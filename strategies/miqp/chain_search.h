// Exact search for chains: branch and bound over the bottleneck T.
//
// A stage's time p counts in the sum and in the maximum, so of a stage only the
// least time within memory matters, by its layers and the strategies of both
// ends. With a table W of lower bounds of those times, StageProgram gives f(T),
// a lower bound on sum p + sum o of plans with bottleneck at most T, and a
// node, an interval [low, high] of bottlenecks, costs at least
//
//   f(high) + (c - 1) low.
//
// If the path that attains f(high) has only exact times it is a plan: the
// bottlenecks from its own up are closed, the rest of the interval is cut in
// two. Otherwise its entries are made exact (stage_path.h) and the program runs
// again. Coarse to fine: scalar bounds of intervals first, tables by end
// strategies only for the arcs that can still lead below the best plan.
//
// Exact: bounds always hold, entries are replaced by proven values only, every
// leaf is closed by a bound at or above the best objective.
#pragma once

#include <utility>

#include "strategies/miqp/chain.h"
#include "strategies/miqp/solution.h"
#include "strategies/miqp/stage_costs.h"
#include "strategies/miqp/stopwatch.h"

namespace soapbox::miqp {

// What the search of one chain has found. Plans come as they are found through
// `best`.
struct ChainIncumbent {
  int64_t objective = kNoObjective;  // also a cutoff: nothing at or above it is wanted
  std::optional<Assignment> plan;
  double table_s = 0;      // CPU time of making tables so far
  double found_s = 0;      // of everything else, when `plan` was found
  double other_cpu_s = 0;  // spent outside the calling thread

  void take(Assignment assignment, int64_t cost, const Stopwatch& stopwatch) {
    objective = cost;
    plan = std::move(assignment);
    found_s = stopwatch.elapsed_s() - table_s;
  }
};

struct ChainOutcome {
  int64_t bound = 0;     // every plan costs at least min(bound, incumbent);
                         // kNoObjective: there is none
  bool complete = true;  // no node was left open
  uint64_t labels = 0;
  uint64_t nodes = 0;
};

// `costs` is of the chain, conditioned on a hub if it has skip edges. Improves
// `best` in place.
ChainOutcome search_chain(const Instance& instance, const Chain& chain, const StageCosts& costs,
                          const Stopwatch& stopwatch, ChainIncumbent& best);

// [stage][position]: whether some plan of the chain below the cutoff may have
// that layer on that stage, as far as bounds by intervals and their ends tell.
std::vector<uint8_t> live_stages(const Instance& instance, const Chain& chain,
                                 const StageCosts& costs, const Stopwatch& stopwatch,
                                 int64_t cutoff);

}  // namespace soapbox::miqp
