#include "sim/simulate/network_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "sim/base/find_row.h"
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
  const Result<const NetworkModelRow*> row = find_row(kNetworkModels, "network model", text);
  if (!row) return row.error();
  return (*row)->value;
}

std::string to_string(const SimulationOptions& options) {
  std::string text = to_string(options.network);
  if (options.compute_slowdown != 1) text += str_cat(" compute ", options.compute_slowdown);
  if (options.communication_slowdown != 1) {
    text += str_cat(" communication ", options.communication_slowdown);
  }
  return text;
}

Result<SimulationOptions> parse_simulation_options(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  SimulationOptions options;
  const Result<NetworkModel> network = parse_network_model(words.empty() ? "" : words[0]);
  if (!network) return network.error();
  options.network = *network;
  for (size_t i = 1; i < words.size(); i += 2) {
    const bool compute = words[i] == "compute";
    double factor = 0;
    if (i + 1 < words.size()) {
      std::from_chars(words[i + 1].data(), words[i + 1].data() + words[i + 1].size(), factor);
    }
    const bool known = compute || words[i] == "communication";
    if (!known || options.network != NetworkModel::kFair || !(factor >= 1) ||
        factor > kMostSlowdown) {
      return bad_input(str_cat("simulation '", words[i], "': allowed after 'fair': 'compute F', ",
                               "'communication F' with F from 1 to ", kMostSlowdown));
    }
    (compute ? options.compute_slowdown : options.communication_slowdown) = factor;
  }
  return options;
}

}  // namespace soapbox
