// Lower bounds that a chain proof's parts imply, computed anew: what its leaves
// are checked against. Part of the checker: nothing of the solver is used here.
//
//   W[a,b] = max over lambda of ceil(min over paths of layers a..b of
//            (time + lambda memory) - lambda limit),
//
// for listed intervals by the strategies ka, kb of both ends, raised by listed
// entries;
//
//   F_i[b][l] = min over a, k, ka of F_(i-1)[a-1][k] + cross_a[k][ka] +
//               W[a,b](ka, l),   every term <= most.
//
// With a hub, F also knows whether stage i holds it. All in whole numbers.
// Time O(layers^2 strategies^2 multipliers) for W, strategies^3 for a layer of a
// listed interval, O(stages (layers^2 + layers strategies^2)) for F and
// strategies^2 for every listed interval of it.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "strategies/miqp/proof_costs.h"

namespace soapbox::miqp {

// Bounds of one interval: a table by both ends, or one number for all.
struct IntervalBound {
  int64_t flat = kUnlimited;
  const std::vector<int64_t>* table = nullptr;  // [first strategy][last strategy]
};

class ProofBounds {
 public:
  // Stages whose time is above `most_time` are left out: with c microbatches,
  // one of them alone costs c times as much. REQUIRES: shift and multipliers in
  // range, one row of multipliers for each group.
  ProofBounds(const ProofCosts& costs, int64_t shift,
              const std::vector<std::vector<int64_t>>& multipliers, int64_t most_time);

  // Whether the interval can be part of a plan; others have no bound to refine.
  bool is_possible(size_t group, ProofKind kind, size_t first, size_t last) const;
  // Gives an interval its table. REQUIRES: is_possible().
  void refine(size_t group, ProofKind kind, size_t first, size_t last);
  bool is_refined(size_t group, ProofKind kind, size_t first, size_t last) const;
  // Raises cells of a refined interval, and of all intervals with the same
  // costs, to an entry's value.
  void raise(size_t group, const ProofEntry& entry);

  // The least sum of all p and o of plans with every term at most `most`.
  int64_t forward(int64_t most);

  IntervalBound bound(size_t group, ProofKind kind, size_t first, size_t last) const;
  // The last position + 1 up to which intervals that begin at `first` are
  // possible.
  size_t end(size_t group, ProofKind kind, size_t first) const {
    const Row& row = rows_[row_at(group, kind, first)];
    return first + row.flat.size();
  }
  // F of the last forward(): [last strategy].
  const int64_t* sums(size_t stage, bool holds_hub, size_t last) const {
    return &sums_[((stage * 2 + (holds_hub ? 1 : 0)) * costs_.positions() + last) *
                  costs_.strategies()];
  }
  // The kind of an interval, given whether the stage before holds the hub.
  ProofKind kind_of(size_t first, size_t last, bool follows_hub) const {
    if (follows_hub) return ProofKind::kFollow;
    return first <= costs_.hub() && costs_.hub() <= last ? ProofKind::kHub : ProofKind::kPlain;
  }
  // The least sum before layer `first` of a stage, boundary included, by first
  // strategy; `start` has one entry per strategy.
  void entry_sums(size_t stage, size_t first, bool follows_hub, int64_t most,
                  std::span<int64_t> start) const;

 private:
  using Table = std::vector<int64_t>;
  struct Row {
    std::vector<int64_t> flat;   // by last - first
    std::vector<Table*> tables;  // the same; null: not refined
    size_t tried = 0;            // up to here: longer ones are not possible
  };
  // The interval's costs: group, kind, whether it starts the path, types.
  using Class = std::tuple<size_t, ProofKind, bool, std::vector<uint32_t>>;

  size_t row_at(size_t group, ProofKind kind, size_t first) const {
    return (group * 3 + static_cast<size_t>(kind)) * costs_.positions() + first;
  }
  Class class_of(size_t group, ProofKind kind, size_t first, size_t last) const;
  void fill_row(size_t group, ProofKind kind, size_t first, int64_t most_time, size_t end);
  bool copy_row(size_t group, ProofKind kind, size_t first, size_t end);
  void fill_table(size_t group, ProofKind kind, size_t first, size_t last, Table& table) const;
  // What a layer adds to a weight: the last multiplier stands for memory alone.
  void add_layer(size_t group, ProofKind kind, size_t position, size_t multiplier, size_t rows,
                 std::vector<int64_t>& weights, std::vector<int64_t>& spare) const;
  int64_t weight(size_t group, ProofKind kind, size_t position, size_t multiplier,
                 size_t strategy) const;
  int64_t bound_of(size_t group, size_t multiplier, int64_t weight) const;
  void add_stage(size_t stage, int64_t most);
  void add_intervals(size_t stage, size_t first, bool follows_hub, int64_t most,
                     std::span<const int64_t> start, std::vector<int64_t>& flat);
  int64_t* sums_at(size_t stage, bool holds_hub, size_t last) {
    return &sums_[((stage * 2 + (holds_hub ? 1 : 0)) * costs_.positions() + last) *
                  costs_.strategies()];
  }

  const ProofCosts& costs_;
  int64_t shift_;
  std::vector<std::vector<int64_t>> multipliers_;
  std::vector<Row> rows_;
  std::map<Class, std::unique_ptr<Table>> tables_;
  std::vector<int64_t> sums_;  // [stage][holds the hub][last position][last strategy]
};

}  // namespace soapbox::miqp
