// The plain dynamic program for chains, without any bound: the second oracle.
//
// Stages are intervals of layers. For an interval and the strategies of its two
// ends, only Pareto optimal pairs (time, memory) of partial stages matter; over
// stages, only Pareto optimal pairs (sum, bottleneck). Exact; the fronts grow
// with the number of distinct sums.
#pragma once

#include "strategies/miqp/solution.h"

namespace soapbox::miqp {

// Whether solve_pareto can take the instance: a path without skip edges, no
// empty stages.
bool pareto_applies(const Instance& instance);

// The optimum alone, without a plan. REQUIRES: validate(instance),
// pareto_applies(instance).
Solution solve_pareto(const Instance& instance);

}  // namespace soapbox::miqp
