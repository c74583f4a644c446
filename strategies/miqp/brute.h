// Every assignment, by depth-first search in topological order: the oracle of
// small instances. Uses no bound and no structure; a branch ends only where a
// constraint is broken. Time O((stages strategies)^layers).
#pragma once

#include "strategies/miqp/solution.h"

namespace soapbox::miqp {

// REQUIRES: validate(instance).
Solution solve_brute(const Instance& instance, const SolveOptions& options = {});

}  // namespace soapbox::miqp
