// The cluster that a measured run used: nodes of its GPU as the shipped cluster of that GPU
// describes them, with the run's own number of GPUs in a node and of network adapters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "scenarios/runner/measured_runs/assumptions.h"
#include "scenarios/runner/measured_runs/measured_run.h"
#include "scenarios/runner/scenario_files/cluster_description.h"
#include "scenarios/runner/scenario_files/hardware_file.h"
#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/result.h"

namespace soapbox::runner {

// Enough nodes for the run's GPUs. Equal names mean equal descriptions.
// Error: the GPU is not known, or more GPUs than a cluster may have.
Result<ClusterDescription> cluster_of_run(const MeasuredRun& run, const ScenarioFolder& scenarios,
                                          const HardwareCatalogue& catalogue,
                                          Assumptions& assumptions);

// The adapters that a text about the network of a node names: "IB HDR 8x200Gb/s per node" is 8 of
// 200 Gbit/s, "1600Gb/s per node" is as many as there are with that much together, "400 Gbps per
// GPU" one for each GPU, and "InfiniBand NDR" as many as there are of 400 Gbit/s.
struct NodeAdapters {
  enum class Rate : uint8_t { kOfOne, kTogether, kOfEachGpu };
  std::optional<size_t> count;
  double gbit_s = 0;
  Rate rate = Rate::kOfOne;
};
std::optional<NodeAdapters> parse_adapters(std::string_view text);

}  // namespace soapbox::runner
