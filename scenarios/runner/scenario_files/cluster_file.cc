#include "scenarios/runner/scenario_files/cluster_file.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <utility>
#include <vector>

#include "scenarios/runner/scenario_files/text_file.h"
#include "scenarios/runner/scenario_files/toml_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

constexpr TomlTable::IntegerRange kOneOrMore{1, 100'000};
constexpr TomlTable::IntegerRange kNoneOrMore{0, 100'000};

size_t count(const TomlTable& table, std::string_view key) {
  return static_cast<size_t>(table.integer(key, kOneOrMore));
}

size_t count_or(const TomlTable& table, std::string_view key, size_t otherwise,
                TomlTable::IntegerRange range) {
  return static_cast<size_t>(table.integer_or(key, static_cast<int64_t>(otherwise), range));
}

// Names that patterns and messages can tell apart: letters and underscores.
bool is_part_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::islower(c) != 0 || c == '_';
  });
}

CableDescription read_cable(const TomlTable& table) {
  CableDescription cable;
  cable.where = table.where();
  cable.type = table.string("type");
  table.string("source");  // required, for people
  const double lanes = static_cast<double>(table.integer_or("lanes", 1, {1, 1000}));
  cable.bandwidth = BytesPerSecond(table.bandwidth("bandwidth").rate() * lanes);
  cable.latency = table.duration("latency");
  cable.copied_by_sender = table.boolean_or("copied_by_sender", false);
  cable.mesh = table.string_or("mesh", "");
  cable.from = table.string_or("from", "");
  cable.to = table.string_or("to", "");
  for (const std::string& pair : table.strings("pairs")) {
    const size_t dash = pair.find('-');
    if (dash == std::string::npos) {
      table.fail("pairs", str_cat("'", pair, "' is no pair such as \"gpu0-gpu1\""));
      continue;
    }
    cable.pairs.emplace_back(pair.substr(0, dash), pair.substr(dash + 1));
  }
  const int ways = (cable.mesh.empty() ? 0 : 1) + (cable.from.empty() && cable.to.empty() ? 0 : 1) +
                   (cable.pairs.empty() ? 0 : 1);
  if (table.good() && (ways != 1 || cable.from.empty() != cable.to.empty())) {
    table.fail("a link says what it joins in one way: mesh, or from and to, or pairs");
  }
  return cable;
}

NodeDescription read_node(const TomlTable& table, const HardwareCatalogue& catalogue) {
  NodeDescription node;
  node.count = count(table, "count");
  node.count_max = count_or(table, "count_max", node.count, kOneOrMore);
  if (node.count_max < node.count) table.fail("count_max", "'count_max' is less than 'count'");
  node.gpus = count(table, "gpus");
  node.cpus = count_or(table, "cpus", 1, kNoneOrMore);
  node.nics = count_or(table, "nics", 0, kNoneOrMore);
  const std::string gpu = table.string("gpu");
  Result<Hardware> hardware = catalogue.find(gpu);
  if (hardware) {
    node.hardware = std::move(*hardware);
  } else if (!gpu.empty()) {
    table.fail("gpu", hardware.error().message);
  }
  if (const auto switches = table.table_if("switches")) {
    for (const std::string& name : switches->keys()) {
      node.switches.emplace_back(name, count(*switches, name));
      const bool taken = name == "gpu" || name == "cpu" || name == "nic";
      if (taken || !is_part_name(name)) {
        switches->fail(name, str_cat("'", name,
                                     "' cannot name a switch: lower-case letters and "
                                     "underscores, and not gpu, cpu or nic"));
      }
    }
  }
  for (const TomlTable& link : table.tables("link")) node.cables.push_back(read_cable(link));
  return node;
}

FabricDescription read_fabric(const TomlTable& table, const std::vector<NodeDescription>& nodes) {
  FabricDescription fabric;
  fabric.type = table.string("type");
  table.string("source");
  fabric.bandwidth = table.bandwidth("bandwidth");
  fabric.latency = table.duration("latency");
  fabric.rails = count_or(table, "rails", 1, kOneOrMore);
  size_t below = 1;
  for (const TomlTable& tier : table.tables("tier")) {
    TierDescription description;
    description.nodes = count(tier, "nodes");
    description.oversubscription = tier.number_or("oversubscription", 1, {1, 1000});
    description.latency = tier.duration("latency");
    if (tier.good() && (description.nodes < below || description.nodes % below != 0)) {
      tier.fail("nodes", str_cat("'nodes' is ", description.nodes,
                                 "; it must be a multiple of the tier below: ", below));
    }
    below = std::max<size_t>(description.nodes, 1);
    fabric.tiers.push_back(description);
  }
  for (const NodeDescription& node : nodes) {
    if (table.good() && node.nics == 0) table.fail("a fabric joins NICs, and a node has none");
    if (table.good() && node.nics % fabric.rails != 0) {
      table.fail("rails", str_cat("'rails' is ", fabric.rails, "; the ", node.nics,
                                  " NICs of a node must be a multiple of it"));
    }
  }
  if (table.good() && fabric.rails > 1 && fabric.tiers.empty()) {
    table.fail("rails", "rails have a switch each: add a [[fabric.tier]] below the top switch");
  }
  return fabric;
}

OverrideDescription read_override(const TomlTable& table) {
  OverrideDescription change;
  change.where = table.where();
  change.devices = table.string_or("devices", "");
  if (!change.devices.empty()) {
    change.speed_factor =
        table.number("speed_factor", {Cluster::kMinSpeedFactor, Cluster::kMaxSpeedFactor});
    return change;
  }
  if (!table.has("from") && !table.has("to")) {
    table.number_or("speed_factor", 1, {});
    table.fail("an override changes 'devices', or the cables 'from' and 'to'");
  }
  change.from = table.string("from");
  change.to = table.string("to");
  change.bandwidth_factor = table.number_or("bandwidth_factor", 1, {1e-6, 1e6});
  change.added_latency = table.duration_or("added_latency", Duration());
  return change;
}

void check_node_counts(const TomlTable& file, const std::vector<NodeDescription>& nodes) {
  if (file.good() && nodes.empty()) file.fail("a cluster needs at least one [[node]]");
  for (size_t i = 0; i + 1 < nodes.size(); ++i) {
    if (file.good() && nodes[i].count_max > nodes[i].count) {
      file.fail("only the last [[node]] may have a 'count_max'");
    }
  }
}

}  // namespace

Result<ClusterDescription> parse_cluster(std::string_view text, const std::string& file,
                                         const HardwareCatalogue& catalogue) {
  const Result<TomlTable> table = parse_toml(text, file);
  if (!table) return table.error();
  ClusterDescription description;
  description.name = std::filesystem::path(file).stem().string();
  description.summary = table->string("summary");
  description.source = table->string("source");
  for (const TomlTable& node : table->tables("node")) {
    description.nodes.push_back(read_node(node, catalogue));
  }
  check_node_counts(*table, description.nodes);
  size_t node_count = 0;
  for (const NodeDescription& node : description.nodes) node_count += node.count_max;
  if (node_count > 1 || table->has("fabric")) {
    description.fabric = read_fabric(table->table("fabric"), description.nodes);
  }
  for (const TomlTable& change : table->tables("override")) {
    description.overrides.push_back(read_override(change));
  }
  if (Status status = table->finish(); !status) return status.error();
  return description;
}

Result<ClusterDescription> read_cluster_description(const std::string& path,
                                                    const HardwareCatalogue& catalogue) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return parse_cluster(*text, path, catalogue);
}

Result<Cluster> make_cluster(const ClusterDescription& description, std::optional<size_t> devices) {
  Result<Topology> parts = build_topology(description, devices);
  if (!parts) return parts.error();
  if (devices && *devices < parts->devices.size()) *parts = first_devices(*parts, *devices);
  return Cluster::make(std::move(*parts));
}

Result<Cluster> load_cluster(const ScenarioFolder& scenarios, const std::string& name_or_path,
                             std::optional<size_t> devices) {
  const Result<std::string> path = scenarios.path(kClusterFiles, name_or_path);
  if (!path) return path.error();
  const Result<HardwareCatalogue> catalogue =
      HardwareCatalogue::read(scenarios.hardware_catalogue());
  if (!catalogue) return catalogue.error();
  const Result<ClusterDescription> description = read_cluster_description(*path, *catalogue);
  if (!description) return description.error();
  Result<Cluster> cluster = make_cluster(*description, devices);
  if (cluster || !cluster.error().where.file.empty()) return cluster;
  Error error = cluster.error();
  error.where.file = *path;
  return error;
}

}  // namespace soapbox::runner
