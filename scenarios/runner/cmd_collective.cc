// soapbox collective: what one collective takes on a cluster, as measured or message by message.
#include <algorithm>
#include <array>
#include <optional>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/collective_profile_file.h"
#include "scenarios/runner/scenario_files/units_text.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kMostChunks = 65536;

Result<CollectiveSpec> read_spec(const Arguments& arguments) {
  CollectiveSpec spec;
  const Result<std::string> op_name = arguments.required("op");
  if (!op_name) return op_name.error();
  const Result<CollectiveOp> op = arguments.parsed("op", "", find_collective);
  if (!op) return op.error();
  spec.op = *op;
  const Result<std::string> size = arguments.required("bytes");
  if (!size) return size.error();
  const Result<Bytes> bytes = parse_bytes(*size);
  if (!bytes) return arguments.refused("bytes", bytes.error());
  if (*bytes < Bytes() || *bytes > kMostCollectiveBytes) {
    return usage_error(str_cat("--bytes: '", *size, "' is out of range; allowed: 0 to 2^48 B"));
  }
  spec.bytes = *bytes;
  spec.algorithm = arguments.text_or("algorithm", "auto");
  if (spec.algorithm != "auto") {
    const Result<const AlgorithmRow*> row = find_algorithm(spec.op, spec.algorithm);
    if (!row) return arguments.refused("algorithm", row.error());
  }
  const Result<std::optional<int64_t>> chunks = arguments.whole_number("chunks", 1, kMostChunks);
  if (!chunks) return chunks.error();
  spec.chunks = static_cast<uint32_t>(chunks->value_or(1));
  constexpr std::array<std::string_view, 2> kNetworks = {"steps", "fair"};
  const Result<std::string> network = arguments.word("network", kNetworks[0], kNetworks);
  if (!network) return network.error();
  spec.network = *network == "fair" ? CollectiveNetwork::kFair : CollectiveNetwork::kSteps;
  const Result<bool> fold = arguments.on_or_off("fold", true);
  if (!fold) return fold.error();
  spec.fold = *fold;
  return spec;
}

// The groups of the command line: one of all devices, or all of a size and a stride.
struct Groups {
  std::vector<std::vector<DeviceId>> devices;
  size_t size = 0;
  size_t stride = 1;
};

Result<Groups> read_groups(const Arguments& arguments, const Cluster& cluster) {
  const auto devices = static_cast<int64_t>(cluster.device_count());
  const auto size = arguments.whole_number("group-size", 2, std::max<int64_t>(2, devices));
  if (!size) return size.error();
  const auto stride = arguments.whole_number("stride", 1, devices);
  if (!stride) return stride.error();
  if (*stride && !*size) return usage_error("--stride needs --group-size");
  Groups groups{
      {}, static_cast<size_t>(size->value_or(devices)), static_cast<size_t>(stride->value_or(1))};
  if (!*size) {
    groups.devices.emplace_back();
    for (const DeviceId device : cluster.devices().ids()) groups.devices[0].push_back(device);
    return groups;
  }
  Result<std::vector<std::vector<DeviceId>>> all =
      strided_groups(cluster, groups.size, groups.stride);
  if (!all) return all.error();
  groups.devices = *std::move(all);
  return groups;
}

// As closed forms see the groups; nothing where these know no such groups: nodes with different
// numbers of ranks, and ranks of a node that are not neighbours.
std::optional<GroupShape> shape_of(const Cluster& cluster, const Groups& groups) {
  const auto per_node =
      static_cast<size_t>(std::count_if(cluster.devices().begin(), cluster.devices().end(),
                                        [](const Device& d) { return d.node.index() == 0; }));
  const size_t devices = cluster.device_count();
  if (devices % per_node != 0 && devices > per_node) return std::nullopt;
  size_t ranks = 1;
  if (groups.stride < per_node) {
    if (per_node % groups.stride != 0) return std::nullopt;
    ranks = std::min(groups.size, per_node / groups.stride);
  } else if (groups.stride % per_node != 0) {
    return std::nullopt;
  }
  if (groups.size % ranks != 0 || (ranks > 1 && groups.stride > 1)) return std::nullopt;
  if (ranks > 1 && per_node % ranks != 0) return std::nullopt;
  return GroupShape{
      .ranks_per_node = static_cast<int64_t>(ranks),
      .nodes = static_cast<int64_t>(groups.size / ranks),
      .groups_per_node = static_cast<int64_t>(groups.devices.size() == 1 ? 1 : per_node / ranks),
      .node_stride = static_cast<int64_t>(std::max<size_t>(1, groups.stride / per_node))};
}

struct Answer {
  CollectiveOutcome outcome;
  std::string network;  // "measured": closed forms fitted to measurements
  std::string provenance;
  double relative_low = kUncalibratedLow;
  double relative_high = kUncalibratedHigh;
  std::string source;
};

// What somebody measured, where the choice of algorithm and network is left to us; nothing where no
// profile covers the groups.
Result<std::optional<Answer>> measured_answer(const Arguments& arguments,
                                              const ScenarioFolder& scenarios,
                                              const Cluster& cluster, const Groups& groups,
                                              const CollectiveSpec& spec) {
  const bool free = spec.algorithm == "auto" && !arguments.has("network") &&
                    !arguments.has("chunks") && !arguments.has("fold");
  const std::optional<GroupShape> shape = shape_of(cluster, groups);
  if (!free || !shape || groups.size < 2) return std::optional<Answer>();
  const Result<GroupCosts> costs = load_group_costs(scenarios, cluster);
  if (!costs) return costs.error();
  const CollectiveTime time = costs->time(spec.op, spec.bytes, *shape);
  if (time.provenance == Provenance::kDatasheet || time.time <= Duration()) {
    return std::optional<Answer>();
  }
  Answer answer{.outcome = {},
                .network = "measured",
                .provenance = time.provenance == Provenance::kCalibratedRoofline
                                  ? "calibrated"
                                  : to_string(time.provenance),
                .relative_low = time.relative_low,
                .relative_high = time.relative_high,
                .source = costs->source()};
  answer.outcome.algorithm = time.algorithm;
  answer.outcome.time = time.time;
  answer.outcome.algorithm_bandwidth = spec.bytes.as_double() / time.time.seconds();
  answer.outcome.bus_bandwidth =
      answer.outcome.algorithm_bandwidth *
      collective_row(spec.op).bus_factor(static_cast<double>(groups.size));
  return std::optional(answer);
}

Result<Answer> simulated_answer(const Cluster& cluster, const Groups& groups,
                                const CollectiveSpec& spec) {
  const Result<CollectiveOutcome> outcome = simulate_concurrent(cluster, groups.devices, spec);
  if (!outcome) return outcome.error();
  return Answer{.outcome = *outcome,
                .network = spec.network == CollectiveNetwork::kFair ? "fair" : "steps",
                .provenance = to_string(Provenance::kDatasheet),
                .source = "messages on the cluster's links"};
}

Record record_of(const Cluster& cluster, const Groups& groups, const CollectiveSpec& spec,
                 const Answer& answer) {
  const CollectiveOutcome& outcome = answer.outcome;
  const double time_s = outcome.time.seconds();
  Record record;
  record.add("op", collective_row(spec.op).op_name);
  record.add("bytes", spec.bytes.count());
  record.add("cluster", cluster.name());
  record.add("devices", cluster.device_count());
  record.add("groups", groups.devices.size());
  record.add("group_size", groups.size);
  record.add("stride", groups.stride);
  record.add("algorithm", outcome.algorithm);
  record.add("chunks", spec.chunks);
  record.add("network", answer.network);
  record.add("time_s", time_s);
  record.add("algbw_bytes_per_s", outcome.algorithm_bandwidth);
  record.add("busbw_bytes_per_s", outcome.bus_bandwidth);
  record.add("messages", outcome.messages);
  record.add("events", outcome.events);
  record.add("folded", outcome.folded_ranks != 0);
  record.add("provenance", answer.provenance);
  record.add("time_low_s", time_s * answer.relative_low);
  record.add("time_high_s", time_s * answer.relative_high);
  record.add("source", answer.source);
  return record;
}

Result<CommandResult> run(const Arguments& arguments, const Console&) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const Result<CollectiveSpec> spec = read_spec(arguments);
  if (!spec) return spec.error();
  const Result<std::string> cluster_name = arguments.required("cluster");
  if (!cluster_name) return cluster_name.error();
  const Result<std::optional<int64_t>> devices = read_devices(arguments);
  if (!devices) return devices.error();
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  std::optional<size_t> limit;
  if (*devices) limit = static_cast<size_t>(**devices);
  const Result<Cluster> cluster = load_cluster(*scenarios, *cluster_name, limit);
  if (!cluster) return cluster.error();
  const Result<Groups> groups = read_groups(arguments, *cluster);
  if (!groups) return groups.error();
  const auto measured = measured_answer(arguments, *scenarios, *cluster, *groups, *spec);
  if (!measured) return measured.error();
  const Result<Answer> answer =
      *measured ? Result<Answer>(**measured) : simulated_answer(*cluster, *groups, *spec);
  if (!answer) return answer.error();
  return CommandResult{record_of(*cluster, *groups, *spec, *answer).render(*format)};
}

}  // namespace

CommandRow collective_command() {
  return {
      "collective", "Times one collective: from measurements, or message by message.",
      Syntax{
          .command = "collective",
          .options = {{"op", "NAME",
                       "all_reduce, reduce_scatter, all_gather, broadcast, all_to_all, send_recv"},
                      {"bytes", "SIZE", "the buffer, as nccl-tests count it, e.g. 1MiB"},
                      {"cluster", "NAME|FILE", "a file of scenarios/clusters, or any other"},
                      {"devices", "N", "the first N devices (default: all)"},
                      {"algorithm", "NAME",
                       "ring, tree, double_binary_tree, halving_doubling, direct, hierarchical; "
                       "default auto: see below"},
                      {"group-size", "G", "groups of G devices, all at once (default: one of all)"},
                      {"stride", "S", "each S devices from the next in its group (default 1)"},
                      {"chunks", "K",
                       "cut the data into K parts that follow each other (default 1)"},
                      {"network", "NAME",
                       "steps: messages use a link one after the other; fair: at once"},
                      {"fold", "on|off",
                       "simulate one of several equal ranks where that is proved (default on)"},
                      format_option()},
          .details =
              "Where --algorithm is auto and none of --chunks, --network and --fold is given, a "
              "cluster of a kind\nthat was measured (scenarios/profiles/collectives) answers from "
              "its fitted segments and protocols:\nnetwork is 'measured', provenance "
              "'interpolated' "
              "or 'calibrated', and 9 of 10 true times should\nlie between time_low_s and "
              "time_high_s. Otherwise every message is simulated on the cluster's\nlinks, by "
              "steps unless --network says fair; auto is then the algorithm with the smallest\n"
              "estimate. --group-size 4 --stride 8 on 32 devices: 0 8 16 24, 1 9 17 25 and so "
              "on, all at once."},
      run};
}

}  // namespace soapbox::runner
