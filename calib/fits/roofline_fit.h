// Fits the shape of a roofline (sim/cost/roofline.h) to measured kernels.
//
// Model of a measurement: t = max(host floor, intercept + run), where run is the roofline's time.
// The host floor is what a framework needs to launch a kernel, the intercept what the timing events
// and one launch add; both belong to the measurement, so the simulator does not get them.
//
// The objective is the mean over the training rows of max(predicted / measured, measured /
// predicted), minus 1: symmetric, and free of logarithms, so that the result is the same with every
// C library. Pattern search: multiply or divide one parameter at a time by a step that shrinks
// from 1.3 to 1.01. It is deterministic, and what it finds is rounded to three digits. Complexity:
// O(steps x parameters x rows x tiles); a few seconds for the 18,000 rows of the P100.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "calib/fits/kernel_samples.h"
#include "sim/cost/roofline.h"

namespace soapbox::calib {

struct FamilyReport {
  std::string family;
  size_t fitted_rows = 0;
  size_t held_out_rows = 0;
  double fitted_mape = 0;    // mean |predicted - measured| / measured
  double held_out_mape = 0;  // 0 where nothing was held out
  double held_out_bias = 1;  // median predicted / measured
  double host_floor_us = 0;
  double intercept_us = 0;
};

struct RooflineFit {
  RooflineShape shape;
  std::vector<FamilyReport> reports;
};

// A device of scenarios/profiles/kernels, NAME_linear.csv and so on, with its datasheet's figures.
struct FittedDevice {
  const char* name;
  FlopsPerSecond fp32_peak;
  BytesPerSecond memory_bandwidth;
  int sm_count;
  const char* source;
};
std::span<const FittedDevice> fitted_devices();

// Where the search for a GPU's products begins, by ProductKind: tiles in the names of the kernels
// that libraries choose, splits of k that weight gradients need.
std::array<ProductShape, kProductKinds> gpu_product_starts();

RooflineFit fit_roofline(const KernelSamples& samples, const FittedDevice& device);

// The file that profiles name: scenarios/profiles/fits/NAME.toml.
std::string to_toml(const RooflineFit& fit, const FittedDevice& device);

// What any fit's file says of the shape, after its source.
std::string shape_toml(const RooflineShape& shape);

}  // namespace soapbox::calib
