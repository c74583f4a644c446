// Convolutions and pooling by cuDNN: the first algorithm of its ranking that fits the workspace.
// fp32 and tf32 with channels first, bf16 and fp16 with channels last, as frameworks keep them.
#pragma once

#include "calib/cuda/launches.h"
#include "sim/cost/measured_table.h"
#include "sim/cost/work.h"

namespace soapbox::calib::cuda {

// Without padding, as sim/cost/work.h counts the window. Throws Failure.
void add_convolution(Launches& kernel, const Operator& op, const Extents& extents, Phase phase);
void add_pooling(Launches& kernel, const Operator& op, const Extents& extents, Phase phase);

}  // namespace soapbox::calib::cuda
