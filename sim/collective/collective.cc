#include "sim/collective/collective.h"

#include <algorithm>
#include <array>
#include <limits>

#include "sim/base/str.h"
#include "sim/collective/fair_network.h"
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

// Schedules of several groups are written down message by message: some 100 bytes each.
constexpr uint64_t kMostConcurrentMessages = uint64_t{1} << 24;

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

CollectiveShape shape_of(const Cluster& cluster, std::span<const DeviceId> devices,
                         CollectiveOp op) {
  return {op, static_cast<uint32_t>(devices.size()), group_size(cluster, devices)};
}

Status check_spec(std::span<const DeviceId> devices, const CollectiveSpec& spec) {
  if (devices.size() < 2) return bad_input("a collective needs at least 2 devices");
  if (spec.bytes < Bytes() || spec.bytes > kMostCollectiveBytes) {
    return bad_input(str_cat(spec.bytes.count(), " bytes; allowed: 0 to 2^48"));
  }
  if (spec.chunks == 0) return bad_input("a collective needs at least 1 chunk");
  return ok();
}

struct Chosen {
  const AlgorithmRow* row = nullptr;
  CollectiveShape shape;
  std::unique_ptr<const Schedule> schedule;
};

// Those that know the collective, by estimate.
std::vector<const AlgorithmRow*> ranked(const Terrain& terrain, const CollectiveSpec& spec) {
  std::vector<std::pair<double, const AlgorithmRow*>> rows;
  for (const AlgorithmRow& row : algorithm_table()) {
    if (std::find(row.ops.begin(), row.ops.end(), spec.op) == row.ops.end()) continue;
    rows.emplace_back(row.estimate(terrain, spec.op, spec.bytes.as_double(), spec.chunks), &row);
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const AlgorithmRow*> order;
  for (const auto& [estimate, row] : rows) order.push_back(row);
  return order;
}

Result<Chosen> choose(const Cluster& cluster, std::span<const DeviceId> devices,
                      const CollectiveSpec& spec) {
  const Status good = check_spec(devices, spec);
  if (!good) return good.error();
  std::vector<const AlgorithmRow*> rows;
  if (spec.algorithm == "auto") {
    rows = ranked(survey(cluster, devices), spec);
  } else {
    const Result<const AlgorithmRow*> row = find_algorithm(spec.op, spec.algorithm);
    if (!row) return row.error();
    rows = {*row};
  }
  const CollectiveShape shape = shape_of(cluster, devices, spec.op);
  Error refusal;
  for (const AlgorithmRow* row : rows) {
    Result<std::unique_ptr<const Schedule>> schedule = row->build(shape);
    if (schedule) return Chosen{row, shape, *std::move(schedule)};
    refusal = schedule.error();
  }
  return refusal;
}

struct Simulated {
  Duration time;
  uint64_t events = 0;
};

// Refuses what could exceed simulated time (106 days): no run takes longer than its messages one
// after the other, and no schedule sends more than 2 n S.
Status check_duration(const Schedule& schedule, const StepNetwork& network,
                      const CollectiveSpec& spec) {
  double slowest = std::numeric_limits<double>::infinity();
  for (const StepLink& link : network.links()) slowest = std::min(slowest, link.bandwidth.rate());
  double latency = 0;
  for (size_t path = 0; path < network.path_count(); ++path) {
    latency = std::max(latency, network.path_latency(path).seconds());
  }
  const double bytes = 2.0 * schedule.rank_count() * spec.bytes.as_double();
  const double seconds = bytes / slowest + latency * schedule.message_count() * spec.chunks;
  if (seconds < 9e6) return ok();
  return bad_input(str_cat(spec.bytes.count(), " bytes among ", schedule.rank_count(),
                           " ranks could take more than 100 days"));
}

Result<Simulated> simulate_schedule(const Schedule& schedule, const StepNetwork& network,
                                    Bytes total, const CollectiveSpec& spec) {
  const Status short_enough = check_duration(schedule, network, spec);
  if (!short_enough) return short_enough.error();
  if (spec.network == CollectiveNetwork::kFair) {
    const Result<FairGraph> fair = make_fair_graph(schedule, network, total, spec.chunks);
    if (!fair) return fair.error();
    FlowEngine engine;
    Timeline timeline;
    engine.run(fair->graph, fair->links, timeline);
    return Simulated{timeline.makespan - SimTime(), timeline.events};
  }
  StepEngine engine;
  const Result<StepsOutcome> steps = engine.run(schedule, network, total, spec.chunks);
  if (!steps) return steps.error();
  return Simulated{steps->time, steps->messages};
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
                   estimate_ring,
                   {kAllReduce, kReduceScatter, kAllGather, kBroadcast, kSendRecv},
                   "neighbour to neighbour; best use of links"},
      AlgorithmRow{"tree",
                   build_tree,
                   estimate_tree,
                   {kAllReduce, kBroadcast},
                   "one binary tree; few steps"},
      AlgorithmRow{"double_binary_tree",
                   build_double_binary_tree,
                   estimate_double_binary_tree,
                   {kAllReduce, kBroadcast},
                   "two binary trees with half of the data each"},
      AlgorithmRow{"halving_doubling",
                   build_halving_doubling,
                   estimate_halving_doubling,
                   {kAllReduce, kReduceScatter, kAllGather},
                   "partners at distances of powers of two"},
      AlgorithmRow{"direct",
                   build_direct,
                   estimate_direct,
                   {kAllReduce, kReduceScatter, kAllGather, kBroadcast, kAllToAll, kSendRecv},
                   "everyone to everyone"},
      AlgorithmRow{"hierarchical",
                   build_hierarchical,
                   estimate_hierarchical,
                   {kAllReduce},
                   "rings in the nodes and among them"},
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

namespace {

CollectiveOutcome outcome_of(const Chosen& chosen, const Schedule& schedule,
                             const Simulated& simulated, const CollectiveSpec& spec) {
  CollectiveOutcome outcome;
  outcome.algorithm = chosen.row->name;
  outcome.time = simulated.time;
  outcome.events = simulated.events;
  outcome.messages = uint64_t{schedule.message_count() - schedule.join_count()} * spec.chunks;
  if (outcome.time > Duration()) {
    outcome.algorithm_bandwidth = spec.bytes.as_double() / outcome.time.seconds();
    outcome.bus_bandwidth =
        outcome.algorithm_bandwidth * collective_row(spec.op).bus_factor(chosen.shape.ranks);
  }
  return outcome;
}

}  // namespace

Result<CollectiveOutcome> simulate_collective(const Cluster& cluster,
                                              std::span<const DeviceId> devices,
                                              const CollectiveSpec& spec) {
  const Result<Chosen> chosen = choose(cluster, devices, spec);
  if (!chosen) return chosen.error();
  const Schedule& schedule = *chosen->schedule;
  const StepNetwork network(cluster, devices, schedule.pairs());
  const Bytes total = schedule_bytes(spec.op, spec.bytes, chosen->shape.ranks);
  const Fold fold = spec.fold ? find_fold(schedule, network, total, spec.chunks) : Fold();
  const Result<Simulated> simulated =
      simulate_schedule(fold.schedule ? *fold.schedule : schedule,
                        fold.network ? *fold.network : network, total, spec);
  if (!simulated) return simulated.error();
  CollectiveOutcome outcome = outcome_of(*chosen, schedule, *simulated, spec);
  outcome.folded_ranks = fold.ranks;
  return outcome;
}

Result<CollectiveOutcome> simulate_concurrent(const Cluster& cluster,
                                              std::span<const std::vector<DeviceId>> groups,
                                              const CollectiveSpec& spec) {
  if (groups.empty()) return bad_input("no groups");
  if (groups.size() == 1) return simulate_collective(cluster, groups[0], spec);
  // All groups do the same: what is best for the first alone.
  const Result<Chosen> chosen = choose(cluster, groups[0], spec);
  if (!chosen) return chosen.error();
  std::vector<std::unique_ptr<const Schedule>> schedules;
  std::vector<const Schedule*> pointers;
  std::vector<DeviceId> devices;
  Bytes total;
  uint64_t messages = 0;
  for (const std::vector<DeviceId>& group : groups) {
    if (group.size() != groups[0].size()) return bad_input("groups of different sizes");
    Result<std::unique_ptr<const Schedule>> schedule =
        chosen->row->build(shape_of(cluster, group, spec.op));
    if (!schedule) return schedule.error();
    messages += (*schedule)->message_count();
    if (messages > kMostConcurrentMessages) {
      return bad_input(str_cat("more than ", kMostConcurrentMessages,
                               " messages in groups at once; use fewer devices"));
    }
    schedules.push_back(*std::move(schedule));
    pointers.push_back(schedules.back().get());
    devices.insert(devices.end(), group.begin(), group.end());
    total += schedule_bytes(spec.op, spec.bytes, chosen->shape.ranks);
  }
  const std::unique_ptr<const Schedule> all = concurrent(pointers);
  const StepNetwork network(cluster, devices, all->pairs());
  const Result<Simulated> simulated = simulate_schedule(*all, network, total, spec);
  if (!simulated) return simulated.error();
  return outcome_of(*chosen, *all, *simulated, spec);
}

Result<std::vector<std::vector<DeviceId>>> strided_groups(const Cluster& cluster, size_t size,
                                                          size_t stride) {
  const size_t devices = cluster.device_count();
  if (size < 2 || stride < 1 || size > devices || stride > devices / size ||
      devices % (size * stride) != 0) {
    return bad_input(str_cat("groups of ", size, " with stride ", stride, " do not divide ",
                             devices, " devices; size x stride must"));
  }
  std::vector<std::vector<DeviceId>> groups;
  for (size_t block = 0; block < devices; block += size * stride) {
    for (size_t offset = 0; offset < stride; ++offset) {
      std::vector<DeviceId> group;
      for (size_t i = 0; i < size; ++i) {
        group.push_back(DeviceId::from_index(block + offset + i * stride));
      }
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

}  // namespace soapbox
