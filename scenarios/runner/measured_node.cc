#include "scenarios/runner/measured_node.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "calib/fits/collective_fit.h"
#include "calib/sampling/collective_tables.h"
#include "calib/sampling/device_tables.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/collective_profile_file.h"
#include "scenarios/runner/topology_import/nccl_topology.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

using Kind = calib::StreamWork::Kind;

// "NV18": 18; of GPUs that are not joined by NVLink 0.
int64_t nvlinks_of(const std::string& relation) {
  return relation.starts_with("NV") ? std::strtol(relation.c_str() + 2, nullptr, 10) : 0;
}

// What one NVLink gave to copies over several.
std::optional<LinkFigure> measured_nvlink(const calib::SampleFile& file) {
  for (size_t peer = 1; peer < file.header.relations.size(); ++peer) {
    const int64_t lanes = nvlinks_of(file.header.relations[peer]);
    if (lanes == 0) continue;
    const auto all = calib::copy_bandwidth(file, Kind::kToPeer, static_cast<int64_t>(peer));
    if (!all) continue;
    return LinkFigure{BytesPerSecond(all->rate() / static_cast<double>(lanes)),
                      "soapbox calibrate: a link's share of copies from GPU to GPU"};
  }
  return std::nullopt;
}

void use_measured(const calib::SampleFile& file, ImportedNode& node) {
  const std::optional<LinkFigure> nvlink = measured_nvlink(file);
  const auto to_device = calib::copy_bandwidth(file, Kind::kToDevice);
  for (ImportedLink& link : node.links) {
    if (link.type == "nvlink" && nvlink) link.figure = *nvlink;
    if (link.type == "pcie" && link.from.starts_with("gpu") && to_device) {
      link.figure = {*to_device, "soapbox calibrate: copies to the device"};
    }
  }
}

Result<Cluster> read_cluster(const ScenarioFolder& scenarios, const std::string& toml,
                             size_t devices) {
  const auto catalogue = HardwareCatalogue::read(scenarios.hardware_catalogue());
  if (!catalogue) return catalogue.error();
  const auto description = parse_cluster(toml, "gpu_node.toml", *catalogue);
  if (!description) return description.error();
  return make_cluster(*description, devices);
}

// Whose figures between nodes those of one node take over: its kind's, else what all share.
Result<CollectiveProfile> network_of(const ScenarioFolder& scenarios, const std::string& hardware) {
  auto own = find_collective_profile(scenarios, hardware);
  if (!own) return own.error();
  if (*own) return **std::move(own);
  const std::string shared(calib::fitted_libraries().front().name);
  const Result<std::string> path = scenarios.path(kCollectiveProfileFiles, shared);
  if (!path) return path.error();
  return read_collective_profile(*path);
}

// In capitals; of "NVIDIA A100-SXM4-40GB" NVIDIA, A100, SXM4 and 40GB.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      words.back() += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  return words;
}

bool has(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

std::optional<std::string> catalogue_id(const HardwareCatalogue& catalogue,
                                        const calib::DeviceDescription& gpu) {
  constexpr double kMemoryTolerance = 0.125;  // some is the driver's; GB or GiB
  const std::vector<std::string> name = words_of(gpu.name);
  std::optional<std::string> found;
  for (const Hardware& row : catalogue.devices()) {
    const std::vector<std::string> id = words_of(row.name);
    const double memory = static_cast<double>(gpu.memory_bytes) / row.memory.as_double();
    const bool agrees = has(name, id.front()) && row.sm_count == gpu.sm_count &&
                        std::fabs(memory - 1) < kMemoryTolerance &&
                        has(name, "PCIE") == has(id, "PCIE") && has(name, "NVL") == has(id, "NVL");
    if (!agrees) continue;
    if (found) return std::nullopt;
    found = row.name;
  }
  return found;
}

Result<std::vector<calib::NamedText>> measured_node_texts(const ScenarioFolder& scenarios,
                                                          const calib::SampleFile& file) {
  const std::string& id = file.header.processor.id;
  const Result<LinkFigures> figures = LinkFigures::read(scenarios, id);
  if (!figures) return figures.error();
  Result<ImportedNode> node =
      node_from_nccl_xml(file.header.topology, "the samples' topology", *figures);
  if (!node) return node.error();
  node->origin = str_cat("soapbox calibrate, ", file.header.started_at);
  use_measured(file, *node);
  Result<std::string> toml = cluster_toml(*node, *figures, 1);
  if (!toml) return toml.error();
  const Result<Cluster> cluster = read_cluster(scenarios, *toml, node->gpus);
  if (!cluster) return cluster.error();
  const Result<CollectiveProfile> network = network_of(scenarios, id);
  if (!network) return network.error();
  std::vector<calib::NamedText> texts =
      calib::collective_texts(file, survey_fabric(*cluster), *network);
  texts.push_back({"clusters/gpu_node.toml", *std::move(toml)});
  return texts;
}

}  // namespace soapbox::runner
