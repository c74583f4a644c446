// Galvatron's dynamic program: a strategy for every layer of one stage under a memory budget.
//
//   f[i, v, s] = min over s' of f[i - 1, v - m(i, s), s'] + inter(i, s', s) + intra(i, s)
//
// is the least time of layers 0..i within v whole MB where layer i has strategy s; the first layer
// pays no transition. Exact for the stage; pseudo-polynomial: O(layers x budget x strategies^2)
// time, 2 bytes x layers x budget x strategies memory. Ties, up to the rounding of the sums, go to
// the lower strategy index.
// Source: Galvatron (strategy.h), section 4; Galvatron-2's dynamic programming core.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace soapbox::strategies::galvatron {

struct StageProblem {
  size_t layers = 0;
  size_t strategies = 0;
  std::vector<int32_t> memory_mb;    // [layer][strategy]
  std::vector<double> intra_s;       // [layer][strategy]
  std::vector<double> transition_s;  // [layer][from][to]; layer 0's are not read
};

struct StageChoice {
  double time_s = 0;
  std::vector<uint16_t> strategy;  // of each layer
  int64_t memory_mb = 0;           // of the layers
};

// Solves once for all budgets up to `budget_mb`.
class MemoryDp {
 public:
  MemoryDp(const StageProblem& problem, int64_t budget_mb);
  // The best choice within `budget_mb` (at most that of the constructor), or nothing where no
  // choice fits.
  std::optional<StageChoice> best(int64_t budget_mb) const;

 private:
  size_t cell(int64_t mb, size_t s) const { return s * width_ + static_cast<size_t>(mb); }
  const StageProblem& problem_;
  int64_t most_mb_ = 0;
  size_t width_ = 0;                           // budgets from 0 on
  std::vector<double> time_s_;                 // of the last layer: [strategy][mb]
  std::vector<std::vector<uint16_t>> before_;  // per layer, [strategy][mb]: the previous strategy
};

}  // namespace soapbox::strategies::galvatron
