// Everyone sends to everyone what it needs, in one step (two for all_reduce).
//
//   all_to_all      rank r sends block d of its own buffer to rank d
//   reduce_scatter  rank r sends block d to rank d, which adds up what it receives
//   all_gather      rank r sends block r to all
//   all_reduce      reduce_scatter, then all_gather
//   broadcast       rank 0 sends everything to all
//   send_recv       rank r sends its buffer to r + 1
// Rank r begins with r + 1, so that not all send to one rank at first. On a full mesh of links of
// latency a and bandwidth b: a + S / (n b) per step; where all of a rank's messages leave through
// one port, a + (n - 1)/n S / b. Latency does not grow with n. O(n^2) messages.
#include <algorithm>
#include <vector>

#include "sim/collective/algorithms.h"

namespace soapbox {

namespace {

// Rank r sends to r + distance block(r, to), when what it waits for has arrived.
template <class Block>
std::vector<std::vector<uint32_t>> exchange(ListedSchedule& schedule, Block&& block, bool reduces,
                                            const std::vector<uint32_t>& joins) {
  const uint32_t n = schedule.rank_count();
  std::vector<std::vector<uint32_t>> received(n);
  for (uint32_t distance = 1; distance < n; ++distance) {
    for (uint32_t rank = 0; rank < n; ++rank) {
      const uint32_t to = (rank + distance) % n;
      const std::span<const uint32_t> waits =
          joins.empty() ? std::span<const uint32_t>() : std::span(&joins[rank], 1);
      received[to].push_back(schedule.send({rank, to}, block(rank, to), 1, reduces, waits));
    }
  }
  return received;
}

void all_reduce(ListedSchedule& schedule) {
  const std::vector<std::vector<uint32_t>> received =
      exchange(schedule, [](uint32_t, uint32_t to) { return to; }, true, {});
  std::vector<uint32_t> joins;
  for (uint32_t rank = 0; rank < schedule.rank_count(); ++rank) {
    joins.push_back(schedule.join(rank, received[rank]));
  }
  exchange(
      schedule, [](uint32_t from, uint32_t) { return from; }, false, joins);
}

}  // namespace

Result<std::unique_ptr<const Schedule>> build_direct(const CollectiveShape& shape) {
  const uint32_t n = shape.ranks;
  if (n > 8192) return bad_input("direct: more than 8192 ranks are more than 2^26 messages");
  const uint32_t blocks = shape.op == CollectiveOp::kBroadcast  ? 1
                          : shape.op == CollectiveOp::kAllToAll ? n * n
                                                                : n;
  auto schedule = std::make_unique<ListedSchedule>(n, blocks);
  schedule->set_symmetry(RankSymmetry::kRotation);
  switch (shape.op) {
    case CollectiveOp::kAllReduce:
      all_reduce(*schedule);
      break;
    case CollectiveOp::kReduceScatter:
      exchange(*schedule, [](uint32_t, uint32_t to) { return to; }, true, {});
      break;
    case CollectiveOp::kAllGather:
      exchange(*schedule, [](uint32_t from, uint32_t) { return from; }, false, {});
      break;
    case CollectiveOp::kAllToAll:
      exchange(*schedule, [n](uint32_t from, uint32_t to) { return from * n + to; }, false, {});
      break;
    case CollectiveOp::kBroadcast:
      for (uint32_t rank = 1; rank < n; ++rank) schedule->send({0, rank}, 0, 1, false, {});
      break;
    case CollectiveOp::kSendRecv:
      for (uint32_t rank = 0; rank < n; ++rank) {
        schedule->send({rank, (rank + 1) % n}, rank, 1, false, {});
      }
      break;
  }
  schedule->finish();
  return std::unique_ptr<const Schedule>(std::move(schedule));
}

double estimate_direct(const Terrain& terrain, CollectiveOp op, double bytes, double /*chunks*/) {
  const double n = terrain.ranks;
  const double fan = bytes / n / terrain.fan_share;
  const double away = (n - terrain.ranks_per_node) / n * bytes / terrain.far_share;
  switch (op) {
    case CollectiveOp::kAllReduce:
      return 2 * (terrain.far_latency + std::max(fan, away));
    case CollectiveOp::kBroadcast:
      return terrain.far_latency + bytes / terrain.fan_share;
    case CollectiveOp::kSendRecv:
      return terrain.far_latency + bytes / terrain.ring_bandwidth();
    default:
      return terrain.far_latency + std::max(fan, away);
  }
}

}  // namespace soapbox
