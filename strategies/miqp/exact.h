// The exact solver: which structure an instance has, and the search that fits
// it.
#pragma once

#include "strategies/miqp/solution.h"

namespace soapbox::miqp {

// REQUIRES: validate(instance).
Solution solve_exact(const Instance& instance, const SolveOptions& options = {});

}  // namespace soapbox::miqp
