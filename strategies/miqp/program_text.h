// The program written out for people: every variable, the objective and every
// constraint of instance.h by name, with the instance's numbers.
#pragma once

#include <string>

#include "strategies/miqp/instance.h"

namespace soapbox::miqp {

// Times and memory are in the input's own units.
std::string program_text(const Instance& instance);

}  // namespace soapbox::miqp
