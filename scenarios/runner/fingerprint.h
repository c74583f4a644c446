// A hash over everything that the simulator reads of a problem, by value: names of files do not
// enter, and a change of one figure of a model, a link or a cost changes it.
#pragma once

#include <string>

#include "sim/simulate/simulate.h"

namespace soapbox::runner {

// 16 hexadecimal digits. Costs are functions, so they enter by their values for every operator
// whole and with each of its dimensions split by every power of two that divides it.
std::string fingerprint(const Problem& problem);

}  // namespace soapbox::runner
