// Collectives by message: which algorithms there are, and what one takes on a cluster.
//
// Sizes and bandwidths as in nccl-tests. `bytes` is the buffer that is reduced or broadcast, the
// whole result of all_gather, the whole input of reduce_scatter, and one rank's buffer of
// all_to_all and send_recv.
//     algorithm bandwidth = bytes / time,   bus bandwidth = algorithm bandwidth x bus factor,
// where the factor is the share of `bytes` that must leave (or enter) every rank at least, so that
// the bus bandwidth is comparable with that of a link, whatever the number n of ranks:
//     all_reduce 2 (n - 1)/n; reduce_scatter, all_gather, all_to_all (n - 1)/n;
//     broadcast, send_recv 1.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/cluster/cluster.h"
#include "sim/collective/algorithms.h"

namespace soapbox {

struct CollectiveRow {
  CollectiveOp op = CollectiveOp::kAllReduce;
  std::string_view op_name;
  double (*bus_factor)(double ranks) = nullptr;
};
std::span<const CollectiveRow> collective_table();
const CollectiveRow& collective_row(CollectiveOp op);
Result<CollectiveOp> find_collective(std::string_view name);

// To add an algorithm: its schedules and estimate in a file of its own, and a row.
struct AlgorithmRow {
  std::string_view name;
  BuildSchedule* build = nullptr;
  EstimateSeconds* estimate = nullptr;
  std::vector<CollectiveOp> ops;
  std::string_view summary;
};
std::span<const AlgorithmRow> algorithm_table();
// Fails with the names of those that know the collective.
Result<const AlgorithmRow*> find_algorithm(CollectiveOp op, std::string_view name);

// How messages share links: one after the other (step_network.h), or at once, each at its max-min
// fair rate (sim/engine/flow_engine.h).
enum class CollectiveNetwork : uint8_t { kSteps, kFair };

inline constexpr Bytes kMostCollectiveBytes = Bytes(int64_t{1} << 48);

struct CollectiveSpec {
  CollectiveOp op = CollectiveOp::kAllReduce;
  std::string algorithm = "auto";  // or "auto": see below
  CollectiveNetwork network = CollectiveNetwork::kSteps;
  Bytes bytes = {};
  uint32_t chunks = 1;
  bool fold = true;  // where a proof of symmetry is found (fold.h); the time is the same
};

struct CollectiveOutcome {
  std::string algorithm;
  Duration time;
  uint64_t messages = 0;  // of all ranks
  uint64_t events = 0;    // simulated: messages, or with fair sharing tasks and changes of rates
  uint32_t folded_ranks = 0;       // simulated in place of all; 0: not folded
  double algorithm_bandwidth = 0;  // bytes per second
  double bus_bandwidth = 0;
};

// Simulates every message. Rank i is devices[i];
// hierarchical algorithms take the devices of a node as a group, so these must follow each other.
// Fails where there are fewer than two ranks, or the algorithm does not support this collective or
// number of ranks. "auto" is the one with the smallest estimate (AlgorithmRow::estimate, from the
// figures of terrain.h) of those that support both; the first of equals.
Result<CollectiveOutcome> simulate_collective(const Cluster& cluster,
                                              std::span<const DeviceId> devices,
                                              const CollectiveSpec& spec);

// Several at once that share the links: when the last has ended. Each on its own devices, all by
// the algorithm that is best for the first alone; not folded. Bandwidths are those of one group.
Result<CollectiveOutcome> simulate_concurrent(const Cluster& cluster,
                                              std::span<const std::vector<DeviceId>> groups,
                                              const CollectiveSpec& spec);

// All devices in groups of `size` of which neighbours are `stride` devices apart: 8 devices in
// groups of 2 with stride 4 are 0 4, 1 5, 2 6, 3 7. Fails where size x stride does not divide them.
Result<std::vector<std::vector<DeviceId>>> strided_groups(const Cluster& cluster, size_t size,
                                                          size_t stride);

// The bytes of all blocks of a schedule.
Bytes schedule_bytes(CollectiveOp op, Bytes bytes, uint32_t ranks);

}  // namespace soapbox
