#include "calib/fits/collective_samples.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>

#include "sim/base/csv.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox::calib {
namespace {

constexpr double kGiga = 1e9;
constexpr double kMicrosecond = 1e-6;

// "276.4", or one figure for each of 2, 3, .. ranks: by ranks, in bytes per second.
Result<std::vector<double>> read_bandwidths(const CsvTable& table, size_t row, size_t column,
                                            size_t ranks) {
  std::vector<double> values(2, 0);
  std::string_view text = table.text(row, column);
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    double value = 0;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (code != std::errc() || end != word.data() + word.size() || !(value > 0 && value < 1e9)) {
      return table.error(row, column, "must be positive numbers");
    }
    values.push_back(value * kGiga);
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  if (values.size() == 3) values.resize(ranks + 1, values[2]);
  if (values.size() != ranks + 1) {
    return table.error(row, column, "must be one number, or one for each of 2, 3, .. devices");
  }
  return values;
}

Result<Fabric> read_fabric(const CsvTable& table, size_t row) {
  const Result<int64_t> devices = table.count(row, 1);
  if (!devices) return devices.error();
  if (*devices > 1024) return table.error(row, 1, "more than 1024 devices in a node");
  auto near = read_bandwidths(table, row, 2, static_cast<size_t>(*devices));
  if (!near) return near.error();
  const Result<double> near_latency_us = table.positive(row, 3);
  if (!near_latency_us) return near_latency_us.error();
  const Result<int64_t> nics = table.count(row, 4);
  if (!nics) return nics.error();
  const Result<double> nic_gb_per_s = table.positive(row, 5);
  if (!nic_gb_per_s) return nic_gb_per_s.error();
  const Result<double> far_latency_us = table.positive(row, 6);
  if (!far_latency_us) return far_latency_us.error();
  Fabric fabric;
  fabric.devices_per_node = *devices;
  fabric.node_count = 2;
  fabric.near_type = "nvlink";
  fabric.near_latency = *near_latency_us * kMicrosecond;
  fabric.near_pair = (*near)[2];
  fabric.near_ring = *near;
  fabric.near_exchange = *std::move(near);
  fabric.far_bandwidth = {0};
  for (int64_t m = 1; m <= *devices; ++m) {
    const int64_t used = (m * *nics + *devices - 1) / *devices;
    fabric.far_bandwidth.push_back(static_cast<double>(used) * *nic_gb_per_s * kGiga);
  }
  fabric.far_latency = {0, *far_latency_us * kMicrosecond};
  fabric.far_share = {1};
  return fabric;
}

Result<std::map<std::string, Fabric>> read_fabrics(const std::string& path) {
  static constexpr std::array<std::string_view, 7> kColumns = {
      "fabric", "devices_per_node", "near_gb_per_s", "near_latency_us",
      "nics",   "nic_gb_per_s",     "far_latency_us"};
  const Result<CsvTable> table = CsvTable::read(path, kColumns);
  if (!table) return table.error();
  std::map<std::string, Fabric> fabrics;
  for (size_t row = 0; row < table->row_count(); ++row) {
    Result<Fabric> fabric = read_fabric(*table, row);
    if (!fabric) return fabric.error();
    if (!fabrics.emplace(table->text(row, 0), *std::move(fabric)).second) {
      return table->error(row, 0, "is there twice");
    }
  }
  return fabrics;
}

Result<std::vector<CollectiveSystem>> read_systems(const std::string& directory) {
  static constexpr std::array<std::string_view, 4> kColumns = {"system", "fabric", "role",
                                                               "source"};
  const auto fabrics = read_fabrics(directory + "/fabrics.csv");
  if (!fabrics) return fabrics.error();
  const Result<CsvTable> table = CsvTable::read(directory + "/systems.csv", kColumns);
  if (!table) return table.error();
  std::vector<CollectiveSystem> systems;
  for (size_t row = 0; row < table->row_count(); ++row) {
    const auto fabric = fabrics->find(table->text(row, 1));
    if (fabric == fabrics->end()) return table->error(row, 1, "is no row of fabrics.csv");
    const std::string& role = table->text(row, 2);
    if (role != "same" && role != "other") return table->error(row, 2, "must be same or other");
    systems.push_back({table->text(row, 0), fabric->first, fabric->second, role == "other"});
  }
  return systems;
}

Result<CollectiveSample> read_sample(const CsvTable& table, size_t row,
                                     const std::vector<CollectiveSystem>& systems) {
  CollectiveSample sample;
  const std::string& split = table.text(row, 0);
  if (split != "fit" && split != "test") return table.error(row, 0, "must be fit or test");
  sample.held_out = split == "test";
  const auto system = std::find_if(systems.begin(), systems.end(), [&](const auto& candidate) {
    return candidate.name == table.text(row, 1);
  });
  if (system == systems.end()) return table.error(row, 1, "is no row of systems.csv");
  sample.system = static_cast<size_t>(system - systems.begin());
  const Result<CollectiveOp> op = find_collective(table.text(row, 2));
  if (!op) return table.error(row, 2, op.error().message);
  sample.op = *op;
  const Result<int64_t> ranks = table.count(row, 3);
  if (!ranks) return ranks.error();
  if (*ranks > system->fabric.devices_per_node) {
    return table.error(row, 3, "more ranks than the fabric has devices in a node");
  }
  const Result<int64_t> nodes = table.count(row, 4);
  if (!nodes) return nodes.error();
  sample.shape = {.ranks_per_node = *ranks, .nodes = *nodes};
  const Result<int64_t> bytes = table.count(row, 5);
  if (!bytes) return bytes.error();
  if (Bytes(*bytes) > kMostCollectiveBytes) return table.error(row, 5, "more than 2^48 bytes");
  sample.bytes = Bytes(*bytes);
  const Result<double> time_us = table.positive(row, 6);
  if (!time_us) return time_us.error();
  if (*time_us > 1e12) return table.error(row, 6, "more than 11 days");
  sample.seconds = *time_us * kMicrosecond;
  return sample;
}

}  // namespace

Result<CollectiveSamples> read_collective_samples(const std::string& directory,
                                                  const std::string& name) {
  static constexpr std::array<std::string_view, 7> kColumns = {
      "split", "system", "op", "ranks_per_node", "nodes", "bytes", "time_us"};
  auto systems = read_systems(directory);
  if (!systems) return systems.error();
  const Result<CsvTable> table = CsvTable::read(str_cat(directory, "/", name, ".csv"), kColumns);
  if (!table) return table.error();
  CollectiveSamples samples{*std::move(systems), {}};
  for (size_t row = 0; row < table->row_count(); ++row) {
    const Result<CollectiveSample> sample = read_sample(*table, row, samples.systems);
    if (!sample) return sample.error();
    samples.rows.push_back(*sample);
  }
  return samples;
}

}  // namespace soapbox::calib
