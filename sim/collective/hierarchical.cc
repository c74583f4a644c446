// all_reduce in two levels: N nodes of g ranks. n = N g blocks, shard i is the blocks
// i N .. i N + N - 1.
//
//   1. in every node a ring reduce_scatter: rank i of the node has the node's sum of shard i
//   2. among the ranks i of all nodes a ring all_reduce of shard i, g rings at once
//   3. in every node a ring all_gather of the shards
// Between nodes only S / g is sent by each rank, through g NICs where there are as many:
//     2 (g - 1) (a1 + S / (g b1)) + 2 (N - 1) (a2 + S / (n b2))
// with a1, b1 inside a node and a2, b2 between nodes. The steps of a rail-optimised cluster, where
// stage 2 stays on its rail. O(n (N + g)) messages.
#include <array>
#include <vector>

#include "sim/base/str.h"
#include "sim/collective/algorithms.h"

namespace soapbox {

namespace {

class Builder {
 public:
  explicit Builder(const CollectiveShape& shape)
      : g_(shape.group_size),
        nodes_(shape.ranks / shape.group_size),
        has_shard_(shape.ranks),
        completed_(shape.ranks),
        schedule_(std::make_unique<ListedSchedule>(shape.ranks, shape.ranks)) {
    schedule_->set_symmetry(RankSymmetry::kRotation);
  }

  void reduce_in_nodes() {
    for (uint32_t step = 0; step + 1 < g_; ++step) {
      has_shard_ = ring_in_nodes(step, 1, true, [&](uint32_t rank) {
        return step == 0 ? std::vector<uint32_t>{} : std::vector{has_shard_[rank]};
      });
    }
  }
  void reduce_among_nodes() {
    std::vector<uint32_t> last(has_shard_.size());
    for (uint32_t step = 0; step < 2 * (nodes_ - 1); ++step) {
      std::vector<uint32_t> received(has_shard_.size());
      for (uint32_t rank = 0; rank < has_shard_.size(); ++rank) {
        const uint32_t node = rank / g_;
        const uint32_t block = (node + 2 * nodes_ - 1 - step) % nodes_;
        const uint32_t to = (node + 1) % nodes_ * g_ + rank % g_;
        std::vector<uint32_t> waits{has_shard_[rank]};
        if (step > 0) waits.push_back(last[rank]);
        received[to] =
            schedule_->send({rank, to}, rank % g_ * nodes_ + block, 1, step < nodes_ - 1, waits);
        if (step + 2 >= nodes_) completed_[to].push_back(received[to]);
      }
      last = received;
    }
  }
  void gather_in_nodes() {
    std::vector<uint32_t> last;
    for (uint32_t step = 0; step + 1 < g_; ++step) {
      last = ring_in_nodes(step, 0, false, [&](uint32_t rank) {
        return step == 0 ? completed_[rank] : std::vector{last[rank]};
      });
    }
  }
  std::unique_ptr<const Schedule> finish() {
    schedule_->finish();
    return std::move(schedule_);
  }

 private:
  // One step of a ring in every node; returns what each rank receives. See ring.cc for `shift`.
  template <class Waits>
  std::vector<uint32_t> ring_in_nodes(uint32_t step, uint32_t shift, bool reduces, Waits&& waits) {
    std::vector<uint32_t> received(has_shard_.size());
    for (uint32_t rank = 0; rank < has_shard_.size(); ++rank) {
      const uint32_t local = rank % g_;
      const uint32_t shard = (local + 2 * g_ - shift - step) % g_;
      const uint32_t to = rank - local + (local + 1) % g_;
      received[to] = schedule_->send({rank, to}, shard * nodes_, nodes_, reduces, waits(rank));
    }
    return received;
  }

  uint32_t g_;
  uint32_t nodes_;
  std::vector<uint32_t> has_shard_;               // the message that completes it in the node
  std::vector<std::vector<uint32_t>> completed_;  // those that complete it among the nodes
  std::unique_ptr<ListedSchedule> schedule_;
};

}  // namespace

Result<std::unique_ptr<const Schedule>> build_hierarchical(const CollectiveShape& shape) {
  if (shape.group_size < 2 || shape.ranks % shape.group_size != 0 ||
      shape.ranks == shape.group_size) {
    return bad_input(str_cat("hierarchical needs several nodes with equally many ranks, at least ",
                             "2; here ", shape.ranks, " ranks in groups of ", shape.group_size));
  }
  Builder builder(shape);
  builder.reduce_in_nodes();
  builder.reduce_among_nodes();
  builder.gather_in_nodes();
  return builder.finish();
}

double estimate_hierarchical(const Terrain& terrain, CollectiveOp /*op*/, double bytes,
                             double /*chunks*/) {
  const double g = terrain.ranks_per_node;
  return 2 * (g - 1) * (terrain.near_latency + bytes / g / terrain.near_bandwidth) +
         2 * (terrain.nodes - 1) *
             (terrain.far_latency + bytes / terrain.ranks / terrain.far_share);
}

}  // namespace soapbox
