// A model and its plan as a drawing.
#pragma once

#include <string>

#include "sim/plan/plan.h"

namespace soapbox::runner {

// DOT text: a box per operator with its degrees and devices, an arrow per tensor with its size.
// Operators on the same devices share a colour.
std::string graphviz(const Model& model, const Cluster& cluster, const Plan& plan);

}  // namespace soapbox::runner
