// Recurrent networks, unrolled. Each returns the training graph for `batch` sequences per
// iteration.
#pragma once

#include <cstdint>
#include <string>

#include "sim/model/graph.h"

namespace soapbox {

// How many steps a sequence has, and how many consecutive ones of a layer are one operator.
// Parameters and FLOPs do not depend on `fused`. REQUIRES: fused divides steps.
struct Unrolled {
  int32_t steps = 40;  // of FlexFlow's evaluation (SysML 2019, section 8)
  int32_t fused = 8;   // of the simulator that its authors released (FlexFlow v1.0)
};

Result<Model> build_rnntc(std::string name, int64_t batch, Unrolled unrolled);
Result<Model> build_rnnlm(std::string name, int64_t batch, Unrolled unrolled);
Result<Model> build_nmt(std::string name, int64_t batch, Unrolled unrolled);

}  // namespace soapbox
