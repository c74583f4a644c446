#include "sim/collective/collective.h"

#include <algorithm>
#include <array>

#include "sim/base/str.h"
#include "sim/collective/fold.h"
#include "sim/collective/step_engine.h"

namespace soapbox {

namespace {

double factor_one(double /*n*/) {
  return 1;
}
double factor_pass(double n) {
  return (n - 1) / n;
}
double factor_two_passes(double n) {
  return 2 * (n - 1) / n;
}

using enum CollectiveOp;
constexpr std::array kCollectives = {
    CollectiveRow{kAllReduce, "all_reduce", factor_two_passes},
    CollectiveRow{kReduceScatter, "reduce_scatter", factor_pass},
    CollectiveRow{kAllGather, "all_gather", factor_pass},
    CollectiveRow{kBroadcast, "broadcast", factor_one},
    CollectiveRow{kAllToAll, "all_to_all", factor_pass},
    CollectiveRow{kSendRecv, "send_recv", factor_one},
};

// The devices of a node that follow each other; 1 where nodes hold different numbers of ranks.
uint32_t group_size(const Cluster& cluster, std::span<const DeviceId> devices) {
  uint32_t size = 0;
  for (size_t begin = 0; begin < devices.size();) {
    size_t end = begin;
    const NodeId node = cluster.device(devices[begin]).node;
    while (end < devices.size() && cluster.device(devices[end]).node == node) ++end;
    const auto length = static_cast<uint32_t>(end - begin);
    if (size != 0 && length != size) return 1;
    size = length;
    begin = end;
  }
  return size;
}

Result<std::unique_ptr<const Schedule>> make_schedule(const Cluster& cluster,
                                                      std::span<const DeviceId> devices,
                                                      const CollectiveSpec& spec) {
  if (devices.size() < 2) return bad_input("a collective needs at least 2 devices");
  if (spec.chunks == 0) return bad_input("a collective needs at least 1 chunk");
  const Result<const AlgorithmRow*> row = find_algorithm(spec.op, spec.algorithm);
  if (!row) return row.error();
  return (*row)->build(
      {spec.op, static_cast<uint32_t>(devices.size()), group_size(cluster, devices)});
}

}  // namespace

std::span<const CollectiveRow> collective_table() {
  return kCollectives;
}

const CollectiveRow& collective_row(CollectiveOp op) {
  return *std::find_if(kCollectives.begin(), kCollectives.end(),
                       [op](const CollectiveRow& row) { return row.op == op; });
}

Result<CollectiveOp> find_collective(std::string_view name) {
  std::vector<std::string> known;
  for (const CollectiveRow& row : kCollectives) {
    if (row.op_name == name) return row.op;
    known.emplace_back(row.op_name);
  }
  return bad_input(unknown_name("collective", name, known));
}

std::span<const AlgorithmRow> algorithm_table() {
  static const std::array rows = {
      AlgorithmRow{"ring",
                   build_ring,
                   {kAllReduce, kReduceScatter, kAllGather, kBroadcast, kSendRecv},
                   "neighbour to neighbour; best use of links"},
      AlgorithmRow{"tree", build_tree, {kAllReduce, kBroadcast}, "one binary tree; few steps"},
      AlgorithmRow{"double_binary_tree",
                   build_double_binary_tree,
                   {kAllReduce, kBroadcast},
                   "two binary trees with half of the data each"},
      AlgorithmRow{"halving_doubling",
                   build_halving_doubling,
                   {kAllReduce, kReduceScatter, kAllGather},
                   "partners at distances of powers of two"},
      AlgorithmRow{"direct",
                   build_direct,
                   {kAllReduce, kReduceScatter, kAllGather, kBroadcast, kAllToAll, kSendRecv},
                   "everyone to everyone"},
      AlgorithmRow{
          "hierarchical", build_hierarchical, {kAllReduce}, "rings in the nodes and among them"},
  };
  return rows;
}

Result<const AlgorithmRow*> find_algorithm(CollectiveOp op, std::string_view name) {
  std::vector<std::string> known;
  for (const AlgorithmRow& row : algorithm_table()) {
    if (std::find(row.ops.begin(), row.ops.end(), op) == row.ops.end()) continue;
    if (row.name == name) return &row;
    known.emplace_back(row.name);
  }
  return bad_input(unknown_name(str_cat("algorithm of ", collective_row(op).op_name), name, known));
}

Bytes schedule_bytes(CollectiveOp op, Bytes bytes, uint32_t ranks) {
  return op == kAllToAll || op == kSendRecv ? bytes * ranks : bytes;
}

Result<CollectiveOutcome> simulate_collective(const Cluster& cluster,
                                              std::span<const DeviceId> devices,
                                              const CollectiveSpec& spec) {
  const Result<std::unique_ptr<const Schedule>> schedule = make_schedule(cluster, devices, spec);
  if (!schedule) return schedule.error();
  const StepNetwork network(cluster, devices, (*schedule)->pairs());
  const auto ranks = static_cast<uint32_t>(devices.size());
  const Bytes total = schedule_bytes(spec.op, spec.bytes, ranks);
  const std::unique_ptr<const Schedule> folded =
      spec.fold ? find_fold(**schedule, network, total, spec.chunks) : nullptr;
  StepEngine engine;
  const Result<StepsOutcome> steps =
      engine.run(folded ? *folded : **schedule, network, total, spec.chunks);
  if (!steps) return steps.error();

  CollectiveOutcome outcome;
  outcome.time = steps->time;
  outcome.events = steps->messages;
  outcome.messages =
      uint64_t{(*schedule)->message_count() - (*schedule)->join_count()} * spec.chunks;
  if (folded) outcome.folded_ranks = static_cast<uint32_t>(folded->pairs().size());
  if (outcome.time > Duration()) {
    outcome.algorithm_bandwidth = spec.bytes.as_double() / outcome.time.seconds();
    outcome.bus_bandwidth = outcome.algorithm_bandwidth * collective_row(spec.op).bus_factor(ranks);
  }
  return outcome;
}

Result<Duration> simulate_concurrent(const Cluster& cluster,
                                     std::span<const std::vector<DeviceId>> groups,
                                     const CollectiveSpec& spec) {
  std::vector<std::unique_ptr<const Schedule>> schedules;
  std::vector<const Schedule*> pointers;
  std::vector<DeviceId> devices;
  Bytes total;
  for (const std::vector<DeviceId>& group : groups) {
    Result<std::unique_ptr<const Schedule>> schedule = make_schedule(cluster, group, spec);
    if (!schedule) return schedule.error();
    if (group.size() != groups[0].size()) return bad_input("groups of different sizes");
    schedules.push_back(*std::move(schedule));
    pointers.push_back(schedules.back().get());
    devices.insert(devices.end(), group.begin(), group.end());
    total += schedule_bytes(spec.op, spec.bytes, static_cast<uint32_t>(group.size()));
  }
  const std::unique_ptr<const Schedule> all = concurrent(pointers);
  const StepNetwork network(cluster, devices, all->pairs());
  StepEngine engine;
  const Result<StepsOutcome> steps = engine.run(*all, network, total, spec.chunks);
  if (!steps) return steps.error();
  return steps->time;
}

}  // namespace soapbox
