// Reads what is known about communication libraries: scenarios/profiles/collectives/NAME.toml. The
// README of that folder describes the files.
#pragma once

#include <optional>
#include <string>

#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/result.h"
#include "sim/cluster/cluster.h"
#include "sim/collective/group_cost.h"

namespace soapbox::runner {

Result<CollectiveProfile> read_collective_profile(const std::string& path);

// The one of this hardware, if there is one; two are an error. Files of others are not read.
Result<std::optional<CollectiveProfile>> find_collective_profile(const ScenarioFolder& scenarios,
                                                                 const std::string& hardware);

// With the profile of the cluster's devices, where they are all of its kinds and joined as those
// that were measured; without one otherwise.
Result<GroupCosts> load_group_costs(const ScenarioFolder& scenarios, const Cluster& cluster);

}  // namespace soapbox::runner
