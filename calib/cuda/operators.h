// Operators' pieces and streams as launches on the GPU.
#pragma once

#include "calib/cuda/launches.h"
#include "sim/cost/measured_table.h"
#include "sim/cost/work.h"

namespace soapbox::calib::cuda {

// One phase of a piece, as sim/cost/work.h counts it. REQUIRES: it has work. Throws Failure.
void add_operator(Launches& kernel, const Operator& op, const Extents& extents, Phase phase);
void add_stream(Launches& kernel, const StreamWork& work);

}  // namespace soapbox::calib::cuda
