#include "sim/simulate/network_model.h"

#include <array>
#include <vector>

#include "sim/base/str.h"

namespace soapbox {

namespace {

constexpr std::array<NetworkModelRow, 3> kNetworkModels = {{
    {NetworkModel::kFair, "fair",
     "transfers share every link of their routes max-min fairly, with latency"},
    {NetworkModel::kFifo, "fifo",
     "a link serves one transfer at a time, in order of readiness, at s / b"},
    {NetworkModel::kSteps, "steps", "as fifo, with every message of a ring a transfer of its own"},
}};

}  // namespace

std::span<const NetworkModelRow> network_model_table() {
  return kNetworkModels;
}

std::string to_string(NetworkModel network) {
  for (const NetworkModelRow& row : kNetworkModels) {
    if (row.value == network) return std::string(row.name);
  }
  return "?";
}

Result<NetworkModel> parse_network_model(std::string_view text) {
  std::vector<std::string> names;
  for (const NetworkModelRow& row : kNetworkModels) {
    if (row.name == text) return row.value;
    names.emplace_back(row.name);
  }
  return bad_input(unknown_name("network model", text, names));
}

}  // namespace soapbox
