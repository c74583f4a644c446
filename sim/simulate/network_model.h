// How transfers share the network: one named option of every simulation.
//
//   kFifo   each link serves one transfer at a time, in order of readiness, at s / b (FlexFlow's
//   model,
//           transfer.h); a ring's traffic is one transfer per link
//   kFair   transfers are flows that share every link of their route max-min fairly, with latency
//           (engine/flow_engine.h)
//   kSteps  as kFifo, with every message of a ring a transfer of its own
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sim/base/result.h"
#include "sim/base/units.h"

namespace soapbox {

enum class NetworkModel : uint8_t { kFifo, kFair, kSteps };
struct NetworkModelRow {
  NetworkModel value;
  std::string_view name;
  std::string_view summary;
};
std::span<const NetworkModelRow> network_model_table();  // sorted by name
std::string to_string(NetworkModel network);
Result<NetworkModel> parse_network_model(std::string_view text);

struct SimulationOptions {
  NetworkModel network = NetworkModel::kFifo;
  // kFair only: while a device computes and communicates at once, its computation takes this much
  // longer, and its transfers get at most 1 / this of what they would alone. At least 1.
  double compute_slowdown = 1;
  double communication_slowdown = 1;
  // Of every device's memory: context, libraries, fragments; not for tensors.
  Bytes reserved = gibibytes(3);
};

inline constexpr double kMostSlowdown = 1000;

// The network's name, and the slow-downs that are not 1: "fair", "fair compute 1.2". One text per
// value: it is part of a run's identity.
std::string to_string(const SimulationOptions& options);
Result<SimulationOptions> parse_simulation_options(std::string_view text);

}  // namespace soapbox
