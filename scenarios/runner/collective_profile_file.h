// Reads what is known about communication libraries: scenarios/profiles/collectives/NAME.toml. The
// README of that folder describes the files.
#pragma once

#include <string>
#include <vector>

#include "scenarios/runner/scenario_files.h"
#include "sim/base/result.h"
#include "sim/cluster/cluster.h"
#include "sim/collective/group_cost.h"

namespace soapbox::runner {

Result<CollectiveProfile> read_collective_profile(const std::string& path);

// All of them, by name. Two for one hardware are an error.
Result<std::vector<CollectiveProfile>> read_collective_profiles(const ScenarioFolder& scenarios);

// With the profile of the cluster's devices, where they are all of its kinds and joined by NVLink;
// without one otherwise.
Result<GroupCosts> load_group_costs(const ScenarioFolder& scenarios, const Cluster& cluster);

}  // namespace soapbox::runner
