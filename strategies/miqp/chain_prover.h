// What the checker's bounds need to reach a target along one path; see prove.h.
#pragma once

#include <map>
#include <utility>

#include "strategies/miqp/proof_bounds.h"
#include "strategies/miqp/stage_costs.h"
#include "strategies/miqp/stage_path.h"

namespace soapbox::miqp {

class ChainProver {
 public:
  // The same path as the checker and the solver see it.
  ChainProver(const ProofCosts& costs, const StageCosts& solver_costs, int64_t target);

  // Collects intervals and entries until every plan costs `target`. Gives what
  // was reached: less only where the target is above the optimum or the solver's
  // limits are met.
  int64_t reach();
  // The proof of a bound of at most what was reached.
  ChainProof proof(int64_t bound, int64_t hub_strategy) const;

 private:
  struct Step {
    size_t stage;
    size_t first;
    size_t last;
    ProofKind kind;
    size_t row;
    size_t column;
  };
  // A table and a cell of it; the last stage's end is free: its column is -1.
  using Cell = std::tuple<const std::vector<int64_t>*, size_t, int64_t>;

  static int64_t top(int64_t bound, int64_t microbatches);
  int64_t weight() const { return costs_.microbatches() - 1; }
  // The least bottleneck from which plans of this sum reach `bound`.
  int64_t least_low(int64_t bound, int64_t sum) const;
  void choose_multipliers(const StageCosts& solver_costs);

  bool improve(int64_t high, int64_t sum);
  std::vector<Step> path(int64_t high) const;
  Step step_to(size_t stage, size_t last, bool holds, size_t column, int64_t high) const;
  int64_t value_of(const Step& step) const;
  int64_t guard_of(const Step& step) const;
  // Bounds by both ends for all intervals that may lead below the target.
  bool refine_useful(int64_t high);
  void fill_rest(int64_t high);
  // What intervals [first, ..] of a stage cost together with all after them, by
  // first strategy.
  void add_entry_rest(size_t stage, size_t first, bool follows_hub, int64_t high,
                      std::span<int64_t> entry) const;
  int64_t least_through(size_t stage, size_t first, size_t last, bool follows_hub,
                        std::span<const int64_t> start) const;
  bool make_exact(const Step& step, int64_t rest);
  bool make_follower_exact(const Step& step, int64_t high);
  bool add_entry(const Step& step, const PathQuery& query, const PathAnswer& answer, int64_t most);
  PathQuery query_of(const Step& step) const;
  const std::vector<int64_t>* table_of(const Step& step) const;
  int64_t* rest(size_t stage, bool holds, size_t last) {
    return &rest_[((stage * 2 + (holds ? 1 : 0)) * costs_.positions() + last) *
                  costs_.strategies()];
  }
  const int64_t* rest(size_t stage, bool holds, size_t last) const {
    return &rest_[((stage * 2 + (holds ? 1 : 0)) * costs_.positions() + last) *
                  costs_.strategies()];
  }

  const ProofCosts& costs_;
  const StageCosts& solver_costs_;
  int64_t target_;
  int64_t shift_ = 0;
  std::vector<std::vector<int64_t>> multipliers_;
  std::unique_ptr<ProofBounds> bounds_;
  std::vector<int64_t> rest_;  // [stage][holds the hub][last][last strategy]
  std::vector<ProofInterval> intervals_;
  std::vector<ProofEntry> entries_;
  std::map<Cell, size_t> entry_at_;  // those that hold for every bottleneck
  std::map<Cell, bool> exact_;
};

}  // namespace soapbox::miqp
