// A node as another tool sees it, and the cluster file that this amounts to.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/runner/topology_import/link_figures.h"

namespace soapbox::runner {

struct ImportedLink {
  std::string from;  // names within the node: "gpu0", "pcie1", "nvswitch0", "cpu0", "nic2"
  std::string to;
  std::string type;  // "nvlink", "pcie"
  int64_t lanes = 1;
  LinkFigure figure;    // of one lane
  std::string latency;  // with its unit
};

struct ImportedNode {
  std::string origin;  // the file, and what made it
  size_t gpus = 0;
  size_t cpus = 1;
  size_t pcie_switches = 0;
  bool nvswitch = false;
  std::vector<std::string> nics;  // by the names that their system gives them
  double nic_gbit_per_s = 0;      // of one; 0: not known
  std::vector<ImportedLink> links;
  LinkFigure socket;  // each two CPUs

  void join_nvswitch(size_t gpu, int64_t lanes, const LinkFigures& figures);
  void join_gpus(size_t a, size_t b, int64_t lanes, const LinkFigures& figures);
  void join_pcie(std::string from, std::string to, LinkFigure figure);
};

// The cluster file of `nodes` such nodes at most; where there are several, one switch that does not
// block joins their NICs. Error: several nodes without NICs, or whose NICs have no known rate.
Result<std::string> cluster_toml(const ImportedNode& node, const LinkFigures& figures,
                                 size_t nodes);

}  // namespace soapbox::runner
