// Recursive halving and doubling (Rabenseifner's algorithm; Thakur, Rabenseifner, Gropp:
// "Optimization of collective communication operations in MPICH", IJHPCA 19(1), 2005).
//
// p = 2^k ranks, p blocks. In the halving step with distance m = p/2, p/4 .. 1 rank v sends to
// v xor m that half of its current range of 2 m blocks which contains the partner's own block; what
// it keeps is summed over twice as many ranks as before. After k steps v has block v complete.
// Doubling is the same backwards.
//   reduce_scatter  halving        k a + (p - 1)/p S / b
//   all_gather      doubling       the same
//   all_reduce      both
// all_reduce for n ranks that are no power of two, p < n < 2 p: the first 2 (n - p) ranks are
// pairs; the even one gives its data to the odd one before, and gets the result after.
// The others refuse such n. O(n log n) messages.
#include <bit>
#include <cmath>
#include <vector>

#include "sim/base/str.h"
#include "sim/collective/algorithms.h"

namespace soapbox {

namespace {

class Builder {
 public:
  explicit Builder(uint32_t ranks)
      : participants_(std::bit_floor(ranks)),
        pairs_(ranks - participants_),
        received_(ranks),
        schedule_(std::make_unique<ListedSchedule>(ranks, participants_)) {
    schedule_->set_symmetry(RankSymmetry::kExclusiveOr);
  }

  void give() {
    for (uint32_t pair = 0; pair < pairs_; ++pair) {
      send({2 * pair, 2 * pair + 1}, 0, participants_, true);
    }
  }
  void halve() {
    for (uint32_t m = participants_ / 2; m >= 1; m /= 2) {
      exchange(
          m, [m](uint32_t /*v*/, uint32_t partner) { return partner & ~(m - 1); }, true);
    }
  }
  void double_up() {
    for (uint32_t m = 1; m < participants_; m *= 2) {
      exchange(
          m, [m](uint32_t v, uint32_t /*partner*/) { return v & ~(m - 1); }, false);
    }
  }
  void return_result() {
    for (uint32_t pair = 0; pair < pairs_; ++pair) {
      send({2 * pair + 1, 2 * pair}, 0, participants_, false);
    }
  }
  std::unique_ptr<const Schedule> finish() {
    schedule_->finish();
    return std::move(schedule_);
  }

 private:
  // All participants swap `m` blocks with the one at distance m, at the same time.
  template <class FirstBlock>
  void exchange(uint32_t m, FirstBlock&& first_block, bool reduces) {
    std::vector<uint32_t> ids(participants_);
    for (uint32_t v = 0; v < participants_; ++v) {
      const RankPair pair{rank(v), rank(v ^ m)};
      ids[v] = schedule_->send(pair, first_block(v, v ^ m), m, reduces, received_[pair.from]);
    }
    for (uint32_t v = 0; v < participants_; ++v) received_[rank(v ^ m)].push_back(ids[v]);
  }
  void send(RankPair pair, uint32_t first_block, uint32_t count, bool reduces) {
    const uint32_t id = schedule_->send(pair, first_block, count, reduces, received_[pair.from]);
    received_[pair.to].push_back(id);
  }
  uint32_t rank(uint32_t v) const { return v < pairs_ ? 2 * v + 1 : v + pairs_; }

  uint32_t participants_;
  uint32_t pairs_;
  std::vector<std::vector<uint32_t>> received_;
  std::unique_ptr<ListedSchedule> schedule_;
};

}  // namespace

Result<std::unique_ptr<const Schedule>> build_halving_doubling(const CollectiveShape& shape) {
  if (shape.op != CollectiveOp::kAllReduce && !std::has_single_bit(shape.ranks)) {
    return bad_input(str_cat("halving_doubling needs a power of two of ranks here, not ",
                             shape.ranks, "; ring takes any number"));
  }
  Builder builder(shape.ranks);
  builder.give();
  if (shape.op != CollectiveOp::kAllGather) builder.halve();
  if (shape.op != CollectiveOp::kReduceScatter) builder.double_up();
  builder.return_result();
  return builder.finish();
}

// Partners at least a node apart exchange all but a part of 1 / nodes.
double estimate_halving_doubling(const Terrain& terrain, CollectiveOp op, double bytes,
                                 double /*chunks*/) {
  const double far_steps = std::floor(std::log2(terrain.nodes));
  const double near_steps = std::floor(std::log2(terrain.ranks)) - far_steps;
  const double pass = far_steps * terrain.far_latency + near_steps * terrain.near_latency +
                      bytes * (1 - 1 / terrain.nodes) / terrain.far_share +
                      bytes * (1 / terrain.nodes - 1 / terrain.ranks) / terrain.near_bandwidth;
  if (op != CollectiveOp::kAllReduce) return pass;
  const bool whole = std::has_single_bit(static_cast<uint32_t>(terrain.ranks));
  return 2 * pass + (whole ? 0 : 2 * (terrain.far_latency + bytes / terrain.far_bandwidth));
}

}  // namespace soapbox
