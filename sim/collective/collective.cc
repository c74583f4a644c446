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

Result<CollectiveOutcome> simulate_collective(const Cluster& cluster,
                                              std::span<const DeviceId> devices,
                                              const CollectiveSpec& spec) {
  const Result<Chosen> chosen = choose(cluster, devices, spec);
  if (!chosen) return chosen.error();
  const Schedule& schedule = *chosen->schedule;
  const StepNetwork network(cluster, devices, schedule.pairs());
  const uint32_t ranks = chosen->shape.ranks;
  const Bytes total = schedule_bytes(spec.op, spec.bytes, ranks);
  const std::unique_ptr<const Schedule> folded =
      spec.fold ? find_fold(schedule, network, total, spec.chunks) : nullptr;
  const Result<Simulated> simulated =
      simulate_schedule(folded ? *folded : schedule, network, total, spec);
  if (!simulated) return simulated.error();

  CollectiveOutcome outcome;
  outcome.algorithm = chosen->row->name;
  outcome.time = simulated->time;
  outcome.events = simulated->events;
  outcome.messages = uint64_t{schedule.message_count() - schedule.join_count()} * spec.chunks;
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
    if (group.size() != groups[0].size()) return bad_input("groups of different sizes");
    Result<Chosen> chosen = choose(cluster, group, spec);
    if (!chosen) return chosen.error();
    schedules.push_back(std::move(chosen->schedule));
    pointers.push_back(schedules.back().get());
    devices.insert(devices.end(), group.begin(), group.end());
    total += schedule_bytes(spec.op, spec.bytes, chosen->shape.ranks);
  }
  const std::unique_ptr<const Schedule> all = concurrent(pointers);
  const StepNetwork network(cluster, devices, all->pairs());
  const Result<Simulated> simulated = simulate_schedule(*all, network, total, spec);
  if (!simulated) return simulated.error();
  return simulated->time;
}

}  // namespace soapbox
