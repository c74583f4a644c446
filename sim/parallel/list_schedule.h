// List scheduling of the zero-bubble pipelines (pass_order.h has the mathematics).
#pragma once

#include "sim/parallel/pass_order.h"

namespace soapbox {

// The shortest of the orders that the rules of list_schedule.cc make.
// REQUIRES: `forward`, `backward` and `weight` of the shape have one entry per position.
PassOrder list_schedule(const PipelineShape& shape);

}  // namespace soapbox
