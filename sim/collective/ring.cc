// Ring algorithms (Patarasu, Yuan: "Bandwidth optimal all-reduce algorithms for clusters of
// workstations", JPDC 69(2), 2009). n ranks, n blocks, rank r sends to r + 1 (all modulo n).
//
// In step k rank r sends block r - shift - k, which it received in step k - 1. While it travels for
// n - 1 steps a block collects the contributions of all ranks; in n - 1 further steps everyone gets
// it:
//   reduce_scatter  n - 1 steps that add, shift 1: rank r ends with block r complete
//   all_gather      n - 1 steps that store, shift 0: rank r begins with block r
//   all_reduce      both, 2 (n - 1) steps; its block of step n - 1 is the one that it completed
//   send_recv       one step
// With S bytes, latency a and bandwidth b between neighbours: (n - 1) (a + S / (n b)) per pass.
// Optimal in bandwidth. O(n^2) messages, computed when asked for.
//
//   broadcast       a chain from rank 0; chunks flow through it: (n - 2 + K) (a + S / (K b)) with
//                   K chunks where latency is part of a link's occupancy; here latency overlaps:
//                   (n - 1) (a + S / (K b)) + (K - 1) S / (K b).
#include <array>

#include "sim/base/check.h"
#include "sim/collective/algorithms.h"

namespace soapbox {

namespace {

struct RingSteps {
  uint32_t count;
  uint32_t reducing;
  uint32_t shift;
};

// `lanes` = ranks, or a divisor: the folded ring.
class RingSchedule final : public Schedule {
 public:
  RingSchedule(uint32_t ranks, uint32_t lanes, RingSteps steps)
      : Schedule(ranks, ranks, lanes * steps.count), lanes_(lanes), steps_(steps) {}

  std::vector<RankPair> pairs() const override {
    std::vector<RankPair> pairs;
    for (uint32_t rank = 0; rank < lanes_; ++rank) {
      pairs.push_back({rank, (rank + 1) % rank_count()});
    }
    return pairs;
  }
  Message message(uint32_t id) const override {
    const uint32_t step = id / lanes_;
    const uint32_t rank = id % lanes_;
    const uint32_t n = rank_count();
    const uint32_t next = rank + 1 == n ? 0 : rank + 1;
    const uint32_t block = (rank + 2 * n - steps_.shift - step) % n;  // step <= 2 n - 3
    return {rank, next, rank, block, 1, step < steps_.reducing};
  }
  uint32_t wait_count(uint32_t id) const override { return id < lanes_ ? 0 : 1; }
  std::span<const uint32_t> dependents(uint32_t id, uint32_t& lone) const override {
    const uint32_t rank = id % lanes_;
    lone = id + lanes_ + (rank + 1 == lanes_ ? 1 - lanes_ : 1);
    return {&lone, id + lanes_ < message_count() ? size_t{1} : 0};
  }
  bool waits_are_single() const override { return true; }
  // Renumbering r as r + p renumbers blocks alike and changes nothing else.
  std::unique_ptr<const Schedule> folded(uint32_t period) const override {
    SOAPBOX_CHECK(period >= 1 && rank_count() % period == 0, "not a divisor of the ranks");
    return std::make_unique<RingSchedule>(rank_count(), period, steps_);
  }

 private:
  uint32_t lanes_;
  RingSteps steps_;
};

std::unique_ptr<const Schedule> chain(uint32_t ranks) {
  auto schedule = std::make_unique<ListedSchedule>(ranks, 1);
  schedule->send({0, 1}, 0, 1, false, {});
  for (uint32_t rank = 1; rank + 1 < ranks; ++rank) {
    schedule->send({rank, rank + 1}, 0, 1, false, std::array{rank - 1});
  }
  schedule->finish();
  return schedule;
}

}  // namespace

Result<std::unique_ptr<const Schedule>> build_ring(const CollectiveShape& shape) {
  const uint32_t n = shape.ranks;
  const auto ring = [n](RingSteps steps) -> std::unique_ptr<const Schedule> {
    return std::make_unique<RingSchedule>(n, n, steps);
  };
  switch (shape.op) {
    case CollectiveOp::kAllReduce:
      return ring({2 * (n - 1), n - 1, 1});
    case CollectiveOp::kReduceScatter:
      return ring({n - 1, n - 1, 1});
    case CollectiveOp::kAllGather:
      return ring({n - 1, 0, 0});
    case CollectiveOp::kBroadcast:
      return chain(n);
    case CollectiveOp::kSendRecv:
      return ring({1, 0, 0});
    case CollectiveOp::kAllToAll:
      break;
  }
  return bad_input("ring: not an algorithm for this collective");
}

double estimate_ring(const Terrain& terrain, CollectiveOp op, double bytes, double chunks) {
  const double hops = terrain.ranks - 1;
  const double latency = terrain.ring_latency();
  const double wire = bytes / terrain.ring_bandwidth();
  switch (op) {
    case CollectiveOp::kAllReduce:
      return 2 * hops * (latency + wire / terrain.ranks);
    case CollectiveOp::kBroadcast:
      return hops * (latency + wire / chunks) + (chunks - 1) * wire / chunks;
    case CollectiveOp::kSendRecv:
      return terrain.far_latency + wire;
    default:
      return hops * (latency + wire / terrain.ranks);
  }
}

}  // namespace soapbox
