// The last resort for graphs that neither intervals nor labels settle: the
// linear program, pruned by what the other searches know.
//
// A strategy k of a layer u is out where even the least times of all other
// layers make the sum too large,
//
//   L + (c - 1) ceil(L / stages) >= best,  L = compute[u][k] + sum over v != u of
//                                              min compute[v];
//
// a layer is off the stages that no interval below the best plan has, where the
// layers are a path; and the bottleneck is at most (best - 1 - least sum) / (c -
// 1). A general solver's bound holds up to its tolerances only: a millionth of
// the objective is taken off it, and what it settles is not called proven.
#pragma once

#include "strategies/miqp/chain_search.h"
#include "strategies/miqp/milp_backend.h"

namespace soapbox::miqp {

// What is left of the program below the best plan.
MilpPruning prune_milp(const Instance& instance, const Chain& chain, const Stopwatch& stopwatch,
                       int64_t best);

// Improves `best` in place; gives a bound, 0 where the program is too large for
// a general solver.
int64_t search_hybrid(const Instance& instance, const Chain& chain, const Stopwatch& stopwatch,
                      const SolveOptions& options, ChainIncumbent& best);

}  // namespace soapbox::miqp
