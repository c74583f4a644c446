// Fits GemmFit (sim/cost/kernel_costs.h has its formula) to measured products.
//
// Model of a measurement: t = max(host floor, intercept + sum of the kernels' times), where host
// floor and intercept belong to the measuring (a framework's launch, the timing events) and are not
// given to the simulator; kernels timed on the device have neither.
//
// 1. Pattern search over the figures of the formula minimises the mean over training rows of
//    max(predicted / measured, measured / predicted) - 1.
// 2. The nodes g of the grids minimise
//      sum over rows (predicted(g) / measured - 1)^2 + smooth sum over neighbours (g_a - g_b)^2
//      + shrink sum over nodes (g - neutral)^2
//    by coordinate descent: predicted is linear in g. Neutral is a factor of 1, and nothing added
//    to it where operands break sectors.
// 3. Interval: cross-validation with 5 folds gives a ratio measured / predicted of each training
// row
//    from a fit that has not seen it; their 5th and 95th percentiles (split conformal prediction)
//    bound 90 %.
//
// No logarithm or other function whose last digit differs between C libraries is used.
#pragma once

#include <string>
#include <vector>

#include "calib/fits/fit_errors.h"
#include "calib/fits/product_samples.h"
#include "sim/cluster/hardware.h"
#include "sim/cost/kernel_profile.h"

namespace soapbox::calib {

// Whether gradients have factors of their own, or one for both.
enum class Roles { kNone, kOneForBoth, kEach };

// How products were timed.
//   kDevice   on the device: the launch is fitted
//   kHost     by the host, with its floor and intercept: the launch is the start's
//   kLong     on the device, but all are long: the launch is the start's
enum class Timing { kDevice, kHost, kLong };

struct ProductFitStart {
  GemmFit fit;  // tiles, max_split and first guesses; axes of both grids, or none
  double smooth = 1;
  double shrink = 0.1;
  Timing timing = Timing::kDevice;
  // Products that move little say nothing about memory; what devices reach is well above this.
  double least_memory_efficiency = 0.6;
  Roles roles = Roles::kNone;
};

struct FittedProducts {
  GemmFit fit;
  double host_floor_s = 0;
  double intercept_s = 0;
  FitErrors formula;  // of the training rows without the grid
  FitReport report;
};

FittedProducts fit_products(const std::vector<ProductSample>& samples, GemmFamily family,
                            const Hardware& hardware, const ProductFitStart& start);

// How far rows of the same product lie from their median: what no fit can tell apart.
FitErrors repeat_errors(const std::vector<ProductSample>& samples, const Interval& interval);

// What of a fit to one device carries over to another that nobody measured. The figures of the
// formula stay, and so does the grid inside one architecture; across architectures it says nothing.
// From a few products on the target, the anchors, follow one factor on all efficiencies, the share
// of the memory bandwidth and what belongs to measuring. Anchors are left out of the errors; the
// interval is as wide as KernelCosts makes it for a fit to another device.
struct TransferredProducts {
  GemmFit fit;
  FitErrors unanchored;  // the source's fit as it is, with its host floor and intercept
  FitErrors anchored;
};
TransferredProducts transfer_products(const FittedProducts& source, GemmFamily family,
                                      const Hardware& target,
                                      const std::vector<ProductSample>& samples, size_t anchors,
                                      bool same_architecture);

}  // namespace soapbox::calib
