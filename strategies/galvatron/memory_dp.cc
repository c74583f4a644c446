#include "strategies/galvatron/memory_dp.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "sim/base/check.h"

namespace soapbox::strategies::galvatron {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
// Far above what rounding adds to a sum of layers, far below any published cost or bias: ties are
// ties whatever the order of additions.
constexpr double kTieS = 1e-13;

// Improves best[v] with the way over strategy `k`, for `count` budgets v: the hot loop.
void relax(const double* before_s, size_t count, double transition_s, double intra_s, uint16_t k,
           double* best, uint16_t* from) {
  for (size_t v = 0; v < count; ++v) {
    const double time = before_s[v] + transition_s + intra_s;
    const bool better = time < best[v] - kTieS;
    best[v] = better ? time : best[v];
    from[v] = better ? k : from[v];
  }
}

}  // namespace

MemoryDp::MemoryDp(const StageProblem& problem, int64_t budget_mb)
    : problem_(problem), most_mb_(budget_mb), before_(problem.layers) {
  const size_t n = problem.strategies;
  SOAPBOX_CHECK(problem.layers > 0 && n > 0, "an empty stage");
  SOAPBOX_CHECK(n < std::numeric_limits<uint16_t>::max(), "too many strategies");
  SOAPBOX_CHECK(problem.memory_mb.size() == problem.layers * n, "memory_mb: one per pair");
  SOAPBOX_CHECK(problem.intra_s.size() == problem.layers * n, "intra_s: one per pair");
  SOAPBOX_CHECK(problem.transition_s.size() == problem.layers * n * n, "transition_s: n x n each");
  if (budget_mb < 0) return;
  const size_t width = width_ = static_cast<size_t>(budget_mb) + 1;
  std::vector<double> before_s(n * width, 0);
  time_s_.resize(n * width);
  for (size_t i = 0; i < problem.layers; ++i) {
    before_[i].assign(n * width, 0);
    for (size_t s = 0; s < n; ++s) {
      const double intra = problem.intra_s[i * n + s];
      const auto used = std::min(static_cast<size_t>(problem.memory_mb[i * n + s]), width);
      double* best = time_s_.data() + s * width;
      std::fill(best, best + width, kNever);
      for (size_t k = 0; k < n; ++k) {
        const double transition = i == 0 ? 0 : problem.transition_s[(i * n + k) * n + s];
        relax(before_s.data() + k * width, width - used, transition, intra,
              static_cast<uint16_t>(k), best + used, before_[i].data() + s * width + used);
      }
    }
    std::swap(before_s, time_s_);
  }
  time_s_ = std::move(before_s);
}

std::optional<StageChoice> MemoryDp::best(int64_t budget_mb) const {
  SOAPBOX_CHECK(budget_mb <= most_mb_, "a budget over the one that was solved");
  if (budget_mb < 0) return std::nullopt;
  const size_t n = problem_.strategies;
  size_t s = 0;
  for (size_t k = 1; k < n; ++k) {
    if (time_s_[cell(budget_mb, k)] < time_s_[cell(budget_mb, s)] - kTieS) s = k;
  }
  if (time_s_[cell(budget_mb, s)] == kNever) return std::nullopt;
  StageChoice choice{.time_s = time_s_[cell(budget_mb, s)], .strategy = {}, .memory_mb = 0};
  choice.strategy.resize(problem_.layers);
  for (size_t i = problem_.layers; i-- > 0;) {
    choice.strategy[i] = static_cast<uint16_t>(s);
    const int32_t used = problem_.memory_mb[i * n + s];
    const size_t from = before_[i][cell(budget_mb - choice.memory_mb, s)];
    choice.memory_mb += used;
    s = from;
  }
  return choice;
}

}  // namespace soapbox::strategies::galvatron
