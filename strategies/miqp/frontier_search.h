// Exact search on any acyclic graph: labels along the topological order.
//
// A label is an assignment of the layers so far. Only the frontier, the layers
// with readers to come, and what each stage holds matter for the rest: among
// labels with equal frontiers and used stages, one that is at most another in
// the sum, the bottleneck and, for every stage that may still grow, in p, o and
// memory makes the other useless. Labels whose bound
//
//   sum + least time to come + (c - 1) max(bottleneck, (stage times + least to
//   come) / stages)
//
// reaches the best plan are dropped. A narrow pass (a beam) finds plans first;
// the wide pass is exact unless it meets a limit of labels, of one level or of
// all, and then its bound still holds.
#pragma once

#include "strategies/miqp/chain_search.h"

namespace soapbox::miqp {

// REQUIRES: at most 64 stages. Improves `best` in place.
ChainOutcome search_frontier(const Instance& instance, const Chain& chain,
                             const Stopwatch& stopwatch, ChainIncumbent& best,
                             size_t labels_per_level = 200000);

}  // namespace soapbox::miqp
