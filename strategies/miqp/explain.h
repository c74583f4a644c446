// Why an instance has no plan, as far as simple arguments show it: too few
// layers, a layer without a strategy, memory that cannot fit, by stage and
// component.
#pragma once

#include <string>

#include "strategies/miqp/instance.h"

namespace soapbox::miqp {

// REQUIRES: the instance is infeasible. Never empty.
std::string explain_infeasible(const Instance& instance);

}  // namespace soapbox::miqp
