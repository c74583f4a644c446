// For tests of importers: the figures of a GPU, and the cluster that an imported node makes.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/topology_import/imported_node.h"

namespace soapbox::runner {

inline ScenarioFolder test_scenarios() {
  return ScenarioFolder(std::string(SOAPBOX_SOURCE_DIR) + "/scenarios");
}

inline LinkFigures figures_of(const std::string& gpu) {
  Result<LinkFigures> figures = LinkFigures::read(test_scenarios(), gpu);
  EXPECT_TRUE(figures) << (figures ? "" : figures.error().to_string());
  return *std::move(figures);
}

// Through the text of the cluster file, as a user would.
inline Cluster imported_cluster(const ImportedNode& node, const LinkFigures& figures,
                                size_t nodes = 1) {
  const Result<std::string> toml = cluster_toml(node, figures, nodes);
  EXPECT_TRUE(toml) << (toml ? "" : toml.error().to_string());
  const HardwareCatalogue catalogue =
      *HardwareCatalogue::read(test_scenarios().hardware_catalogue());
  const Result<ClusterDescription> description = parse_cluster(*toml, "made.toml", catalogue);
  EXPECT_TRUE(description) << (description ? "" : description.error().to_string()) << "\n" << *toml;
  return *make_cluster(*description, nodes * node.gpus);
}

// The vertices between two devices, the second included.
inline std::vector<std::string> path_between(const Cluster& cluster, uint32_t from, uint32_t to) {
  std::vector<std::string> names;
  for (const LinkId link : cluster.route(DeviceId(from), DeviceId(to)).links) {
    names.push_back(cluster.vertices()[cluster.links()[link].to].name);
  }
  return names;
}

}  // namespace soapbox::runner
