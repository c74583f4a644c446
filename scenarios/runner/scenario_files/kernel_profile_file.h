// Reads what is fitted about the kernels of devices: scenarios/profiles/kernel_profiles, whose
// README describes the keys.
#pragma once

#include <map>
#include <string>

#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/result.h"
#include "sim/cluster/cluster.h"
#include "sim/cost/kernel_costs.h"
#include "sim/cost/kernel_profile.h"

namespace soapbox::runner {

// One profile. Everything unknown, missing, without a unit or out of range is an error with its
// place; so are a product without tiles, tiles whose sides are no powers of two, and a factor grid
// whose number of values is not that of its nodes.
Result<KernelProfile> read_kernel_profile(const std::string& path);

// Every FILE.toml of a directory, by hardware. Two profiles of one hardware are an error.
Result<std::map<std::string, KernelProfile>> read_kernel_profiles(const std::string& directory);

// What the kernels of a cluster's devices cost; devices without a file are costed by datasheet.
Result<IdVector<HardwareId, KernelCosts>> cluster_kernel_costs(const ScenarioFolder& scenarios,
                                                               const Cluster& cluster);

}  // namespace soapbox::runner
