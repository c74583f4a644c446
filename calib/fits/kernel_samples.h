// Measured kernels of one device, as the work the roofline sees and the time it took.
#pragma once

#include <string>
#include <vector>

#include "sim/base/result.h"
#include "sim/cost/work.h"

namespace soapbox::calib {

struct KernelSample {
  Work work;
  double seconds = 0;
  bool held_out = false;  // only for reporting the error, never for fitting
};

// The tables of one device under scenarios/profiles/kernels (README there).
struct KernelSamples {
  std::vector<KernelSample> linear;
  std::vector<KernelSample> batched;
  std::vector<KernelSample> direct_conv;    // 3x3, computed as an implicit product
  std::vector<KernelSample> winograd_conv;  // 3x3, by Winograd's algorithm
  std::vector<KernelSample> add;            // two tensors into one
  std::vector<KernelSample> relu;
  std::vector<KernelSample> softmax;
};

// Reads PREFIX_linear.csv, PREFIX_bmm.csv, PREFIX_conv3x3.csv and PREFIX_stream.csv.
Result<KernelSamples> read_kernel_samples(const std::string& prefix);

}  // namespace soapbox::calib
