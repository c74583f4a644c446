// Clusters as TOML: the format is described in scenarios/clusters/README.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "scenarios/runner/scenario_files/cluster_description.h"
#include "scenarios/runner/scenario_files/hardware_file.h"
#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/result.h"
#include "sim/cluster/cluster.h"

namespace soapbox::runner {

// The cluster's name is the file's without its folder and extension.
Result<ClusterDescription> parse_cluster(std::string_view text, const std::string& file,
                                         const HardwareCatalogue& catalogue);
Result<ClusterDescription> read_cluster_description(const std::string& path,
                                                    const HardwareCatalogue& catalogue);

// The first `devices` of the cluster, filling nodes; without it as many as the file counts.
Result<Cluster> make_cluster(const ClusterDescription& description, std::optional<size_t> devices);

// What --cluster NAME|FILE and --devices N mean.
Result<Cluster> load_cluster(const ScenarioFolder& scenarios, const std::string& name_or_path,
                             std::optional<size_t> devices);

}  // namespace soapbox::runner
