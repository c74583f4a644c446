// Fits AttentionFit (sim/cost/kernel_costs.h has its formula) to measured fused attention.
//
// CSV columns: split,phase,causal,heads,seq_len,head_dim,time_us
//   phase     forward or backward
//   heads     samples x heads; as many queries as keys
//   head_dim  mean of that of queries and of values where they differ
#pragma once

#include <string>
#include <vector>

#include "calib/fits/fit_errors.h"
#include "sim/base/result.h"
#include "sim/cluster/hardware.h"
#include "sim/cost/kernel.h"

namespace soapbox::calib {

struct AttentionSample {
  Kernel kernel;
  double seconds = 0;
  bool held_out = false;
};
Result<std::vector<AttentionSample>> read_attention_samples(const std::string& path);

struct FittedAttention {
  AttentionFit fit;
  FitReport report;
};
// One phase. Samples have head dimensions of 128 and more: the efficiency at 64 stays in the
// proportion that `start` has. Launches are `launch`.
FittedAttention fit_attention(const std::vector<AttentionSample>& samples, bool backward,
                              const Hardware& hardware, const AttentionFit& start, Duration launch);

}  // namespace soapbox::calib
