// Measured matrix products of one device, as the kernels that KernelCosts sees.
//
// CSV columns: split,role,batch,m,n,k,accumulate,time_us
//   split       train or test; test rows are only for reporting errors
//   role        forward, input_gradient, weight_gradient, or backward: both gradients of the
//               forward product in this row, one after the other
//   m,n,k       of that product: (m x k)(k x n)
//   accumulate  1: added to a result in fp32 that was there before
#pragma once

#include <string>
#include <vector>

#include "sim/base/result.h"
#include "sim/cost/kernel.h"

namespace soapbox::calib {

struct ProductSample {
  std::vector<Kernel> kernels;  // run one after the other
  double seconds = 0;
  bool held_out = false;
};

// `type` is the operands'. `grouped`: one product per expert.
Result<std::vector<ProductSample>> read_product_samples(const std::string& path, DataType type,
                                                        bool grouped);

}  // namespace soapbox::calib
