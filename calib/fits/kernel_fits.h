// All shipped kernel profiles (scenarios/profiles/kernel_profiles) from all measured kernels
// (scenarios/profiles/kernel_samples and kernels): which rests on which, and how far off each fit
// is.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "calib/fits/fit_errors.h"
#include "sim/base/result.h"
#include "sim/cluster/hardware.h"
#include "sim/cost/kernel_profile.h"

namespace soapbox::calib {

// The devices that kernels were measured on, by their datasheets.
std::span<const Hardware> measured_devices();

struct FitLine {
  std::string device;
  std::string family;
  FitErrors formula;  // products: without the factor grid; rows = 0 for the others
  FitReport report;
  FitErrors repeated;  // rows of one product against their median: no fit can be nearer
};

// A fit to one device, tried on another that it has not seen.
struct TransferLine {
  std::string source;
  std::string target;
  std::string family;
  FitErrors unanchored;
  FitErrors anchored;  // with five anchors
};

struct KernelFits {
  std::vector<KernelProfile> profiles;
  std::vector<FitLine> lines;
  std::vector<TransferLine> transfers;
};
// `folder`: scenarios/profiles.
Result<KernelFits> fit_kernels(const std::string& folder);

// The table of errors, as printed.
std::string to_table(const KernelFits& fits);

// The text of scenarios/profiles/kernel_profiles/HARDWARE.toml.
std::string to_toml(const KernelProfile& profile);

}  // namespace soapbox::calib
