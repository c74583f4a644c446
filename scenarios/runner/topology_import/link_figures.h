// What the links of one kind of node achieve, from the catalogues in scenarios/hardware. Imported
// topologies say what is joined to what; these say how fast that is.
#pragma once

#include <cstdint>
#include <string>

#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/result.h"
#include "sim/base/units.h"

namespace soapbox::runner {

struct LinkFigure {
  BytesPerSecond bandwidth;  // that one transfer achieves in one direction
  std::string source;        // for the cluster file
};

class LinkFigures {
 public:
  // For nodes with this GPU. Error: it is not in the catalogue, with the nearest name.
  static Result<LinkFigures> read(const ScenarioFolder& scenarios, const std::string& gpu);

  const std::string& gpu() const { return gpu_; }
  int64_t nvlinks() const { return nvlinks_; }             // of one GPU; 0: none
  const LinkFigure& nvlink() const { return nvlink_; }     // one of them
  int64_t pcie_generation() const { return generation_; }  // the GPU's
  LinkFigure pcie(int64_t generation, int64_t lanes) const;
  // Between sockets, by NCCL's constants. `amd`: AMD's processors; else Intel's of the age of that
  // PCIe generation.
  LinkFigure socket(bool amd) const;
  // A NIC of so many Gbit/s.
  LinkFigure network(double gbit_per_s) const;

 private:
  std::string gpu_;
  int64_t nvlinks_ = 0;
  LinkFigure nvlink_;
  int64_t generation_ = 4;
  double pcie_achieved_[8] = {};                     // of the specified rate, by generation
  std::vector<std::pair<double, double>> networks_;  // InfiniBand: specified and achieved GB/s
};

}  // namespace soapbox::runner
