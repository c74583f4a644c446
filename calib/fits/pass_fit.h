// Fits MemoryFit (sim/cost/kernel_costs.h has its formula) to measured kernels that are bound by
// memory: time = intercept + bytes / (efficiency x bandwidth). The intercept belongs to measuring
// and to one launch; profiles have a launch of their own.
//
// CSV columns: split,family,op,bytes,time_us
//   family  pass, softmax, embedding or optimizer
//   bytes   read and written once
#pragma once

#include <string>
#include <vector>

#include "calib/fits/fit_errors.h"
#include "sim/base/result.h"
#include "sim/cluster/hardware.h"

namespace soapbox::calib {

struct PassSample {
  MemoryFamily family = MemoryFamily::kPass;
  double bytes = 0;
  double seconds = 0;
  bool held_out = false;
};
Result<std::vector<PassSample>> read_pass_samples(const std::string& path);

struct FittedPasses {
  MemoryFit fit;
  FitReport report;
};
FittedPasses fit_passes(const std::vector<PassSample>& samples, MemoryFamily family,
                        const Hardware& hardware);

}  // namespace soapbox::calib
