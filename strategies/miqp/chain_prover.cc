#include "strategies/miqp/chain_prover.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"
#include "strategies/miqp/start_plan.h"

namespace soapbox::miqp {
namespace {

int64_t units(double value) {
  return value >= static_cast<double>(kUnlimited) ? kUnlimited : static_cast<int64_t>(value);
}

}  // namespace

ChainProver::ChainProver(const ProofCosts& costs, const StageCosts& solver_costs, int64_t target)
    : costs_(costs), solver_costs_(solver_costs), target_(target) {
  choose_multipliers(solver_costs);
  bounds_ = std::make_unique<ProofBounds>(costs_, shift_, multipliers_,
                                          top(target_, costs_.microbatches()));
}

int64_t ChainProver::top(int64_t bound, int64_t microbatches) {
  if (bound <= 0) return -1;
  return bound >= kUnlimited ? kUnlimited - 1 : (bound - 1) / microbatches;
}

// The solver's multipliers as fractions of a power of two, the largest whose
// weights stay in range.
void ChainProver::choose_multipliers(const StageCosts& solver_costs) {
  const std::vector<std::vector<double>> lambdas = choose_lambdas(solver_costs);
  for (shift_ = 40;; --shift_) {
    multipliers_.assign(costs_.groups(), {});
    bool in_range = costs_.in_range(shift_, 0);
    for (size_t g = 0; g < lambdas.size(); ++g) {
      for (const double lambda : lambdas[g]) {
        if (lambda == 0) continue;  // the checker has it anyway
        const double scaled = std::ldexp(lambda, static_cast<int>(shift_));
        const bool fits = scaled < 0x1.0p58;
        multipliers_[g].push_back(fits ? std::llround(scaled) : 0);
        in_range = in_range && fits && costs_.in_range(shift_, multipliers_[g].back());
      }
    }
    if (in_range) return;
    if (shift_ > 0) continue;
    for (std::vector<int64_t>& group : multipliers_) group.clear();
    return;
  }
}

int64_t ChainProver::least_low(int64_t bound, int64_t sum) const {
  if (sum >= bound) return 0;
  if (bound >= kUnlimited || weight() == 0) return kUnlimited;
  return (bound - sum + weight() - 1) / weight();
}

int64_t ChainProver::reach() {
  for (int64_t high = top(target_, costs_.microbatches()); high >= 0;) {
    const int64_t sum = bounds_->forward(high);
    if (sum >= kUnlimited) break;
    const int64_t low = least_low(target_, sum);
    if (low <= high) {
      high = low - 1;
    } else if (!improve(high, sum)) {
      // What the path costs if it is a plan: more cannot be shown.
      int64_t bottleneck = 0;
      for (const Step& step : path(high)) bottleneck = std::max(bottleneck, guard_of(step));
      target_ = sum + weight() * bottleneck;
    }
  }
  return target_;
}

const std::vector<int64_t>* ChainProver::table_of(const Step& step) const {
  return bounds_->bound(costs_.group_of(step.stage), step.kind, step.first, step.last).table;
}

int64_t ChainProver::value_of(const Step& step) const {
  const IntervalBound bound =
      bounds_->bound(costs_.group_of(step.stage), step.kind, step.first, step.last);
  return bound.table ? (*bound.table)[step.row * costs_.strategies() + step.column] : bound.flat;
}

int64_t ChainProver::guard_of(const Step& step) const {
  Step plain = step;
  if (step.kind == ProofKind::kFollow) plain.kind = ProofKind::kPlain;
  return value_of(plain);
}

// The interval of a stage through which its best sum was reached.
ChainProver::Step ChainProver::step_to(size_t stage, size_t last, bool holds, size_t column,
                                       int64_t high) const {
  const size_t count = costs_.strategies();
  const int64_t wanted = bounds_->sums(stage, holds, last)[column];
  std::vector<int64_t> start(count);
  for (size_t a = stage; a <= (stage == 0 ? 0 : last); ++a) {
    for (const bool follows : {false, true}) {
      if (follows && (stage == 0 || a <= costs_.hub())) continue;
      Step step{stage, a, last, bounds_->kind_of(a, last, follows), 0, column};
      if ((step.kind == ProofKind::kHub) != holds) continue;
      bounds_->entry_sums(stage, a, follows, high, start);
      for (step.row = 0; step.row < (a == 0 ? 1 : count); ++step.row) {
        if (start[step.row] >= kUnlimited || guard_of(step) > high) continue;
        if (start[step.row] + value_of(step) == wanted) return step;
      }
    }
  }
  SOAPBOX_CHECK(false, "no interval leads to a sum of the proof's program");
  return {};
}

std::vector<ChainProver::Step> ChainProver::path(int64_t high) const {
  const size_t count = costs_.strategies();
  const size_t stages = costs_.stages();
  std::vector<Step> steps(stages);
  size_t last = costs_.positions() - 1;
  size_t column = 0;
  bool holds = false;
  int64_t least = kUnlimited;
  for (const bool side : {false, true}) {
    const int64_t* const sums = bounds_->sums(stages - 1, side, last);
    for (size_t l = 0; l < count; ++l) {
      if (sums[l] >= least) continue;
      least = sums[l];
      column = l;
      holds = side;
    }
  }
  std::vector<int64_t> start(count);
  for (size_t i = stages; i-- > 0;) {
    steps[i] = step_to(i, last, holds, column, high);
    if (i == 0) break;
    const Step& step = steps[i];
    holds = step.kind == ProofKind::kFollow;
    bounds_->entry_sums(i, step.first, holds, high, start);
    const int64_t* const from = bounds_->sums(i - 1, holds, step.first - 1);
    const int64_t* const cross = costs_.reshard_cross(step.first);
    column = count;
    for (size_t k = 0; k < count && column == count; ++k) {
      const int64_t across = cross[k * count + step.row];
      if (across <= high && from[k] < kUnlimited && from[k] + across == start[step.row]) column = k;
    }
    SOAPBOX_CHECK(column < count, "no strategy leads to a sum of the proof's program");
    last = step.first - 1;
  }
  return steps;
}

bool ChainProver::improve(int64_t high, int64_t sum) {
  const std::vector<Step> steps = path(high);
  const bool all_refined =
      std::all_of(steps.begin(), steps.end(), [this](const Step& step) { return table_of(step); });
  if (!all_refined) return refine_useful(high);
  int64_t bottleneck = 0;
  for (const Step& step : steps) bottleneck = std::max(bottleneck, guard_of(step));
  bool changed = false;
  for (const Step& step : steps) {
    changed = make_exact(step, sum - value_of(step) + weight() * bottleneck) || changed;
  }
  for (size_t i = 1; i < steps.size() && !changed; ++i) {
    if (steps[i].kind == ProofKind::kFollow) changed = make_follower_exact(steps[i], high);
  }
  return changed;
}

void ChainProver::add_entry_rest(size_t stage, size_t first, bool follows_hub, int64_t high,
                                 std::span<int64_t> entry) const {
  const size_t count = costs_.strategies();
  const size_t group = costs_.group_of(stage);
  const bool is_last = stage + 1 == costs_.stages();
  const size_t end = costs_.positions() - (costs_.stages() - 1 - stage);
  for (size_t b = is_last ? end - 1 : first; b < end; ++b) {
    const ProofKind kind = bounds_->kind_of(first, b, follows_hub);
    const IntervalBound value = bounds_->bound(group, kind, first, b);
    const IntervalBound guard =
        bounds_->bound(group, kind == ProofKind::kFollow ? ProofKind::kPlain : kind, first, b);
    if (guard.flat > high || value.flat >= kUnlimited) continue;
    const int64_t* const after = rest(stage, kind == ProofKind::kHub, b);
    if (!value.table && !guard.table) {
      const int64_t least = *std::min_element(after, after + count) + value.flat;
      for (int64_t& to : entry) to = std::min(to, least);
      continue;
    }
    for (size_t r = 0; r < (first == 0 ? 1 : count); ++r) {
      for (size_t l = 0; l < count; ++l) {
        const int64_t v = value.table ? (*value.table)[r * count + l] : value.flat;
        const int64_t g = guard.table ? (*guard.table)[r * count + l] : guard.flat;
        if (g <= high && v < kUnlimited) entry[r] = std::min(entry[r], v + after[l]);
      }
    }
  }
}

// The least sum of what comes after each (stage, last layer, last strategy).
void ChainProver::fill_rest(int64_t high) {
  const size_t n = costs_.positions();
  const size_t count = costs_.strategies();
  const size_t stages = costs_.stages();
  rest_.assign(stages * 2 * n * count, kUnlimited);
  for (const bool holds : {false, true}) {
    std::fill_n(rest(stages - 1, holds, n - 1), count, 0);
  }
  std::vector<int64_t> entry(count);
  for (size_t i = stages - 1; i > 0; --i) {
    for (size_t a = i; a <= n - (stages - i); ++a) {
      for (const bool follows : {false, true}) {
        if (follows && a <= costs_.hub()) continue;
        std::fill(entry.begin(), entry.end(), kUnlimited);
        add_entry_rest(i, a, follows, high, entry);
        int64_t* const to = rest(i - 1, follows, a - 1);
        const int64_t* const cross = costs_.reshard_cross(a);
        for (size_t k = 0; k < count; ++k) {
          for (size_t l = 0; l < count; ++l) {
            const int64_t step = cross[k * count + l];
            if (step <= high) to[k] = std::min(to[k], step + entry[l]);
          }
        }
      }
    }
  }
}

int64_t ChainProver::least_through(size_t stage, size_t first, size_t last, bool follows_hub,
                                   std::span<const int64_t> start) const {
  const ProofKind kind = bounds_->kind_of(first, last, follows_hub);
  const int64_t* const after = rest(stage, kind == ProofKind::kHub, last);
  const int64_t flat = bounds_->bound(costs_.group_of(stage), kind, first, last).flat;
  return *std::min_element(start.begin(), start.end()) + flat +
         *std::min_element(after, after + costs_.strategies());
}

bool ChainProver::refine_useful(int64_t high) {
  fill_rest(high);
  bool changed = false;
  std::vector<int64_t> start(costs_.strategies());
  const size_t n = costs_.positions();
  for (uint32_t i = 0; i < costs_.stages(); ++i) {
    const size_t group = costs_.group_of(i);
    const size_t end = n - (costs_.stages() - 1 - i);
    for (size_t a = i; a < (i == 0 ? 1 : end); ++a) {
      for (const bool follows : {false, true}) {
        if (follows && (i == 0 || a <= costs_.hub())) continue;
        bounds_->entry_sums(i, a, follows, high, start);
        for (size_t b = i + 1 == costs_.stages() ? end - 1 : a; b < end; ++b) {
          const ProofKind kind = bounds_->kind_of(a, b, follows);
          const ProofKind guard_kind = kind == ProofKind::kFollow ? ProofKind::kPlain : kind;
          const int64_t guard = bounds_->bound(group, guard_kind, a, b).flat;
          if (guard > high) break;
          const int64_t through = least_through(i, a, b, follows, start);
          if (through >= kUnlimited || through + weight() * guard >= target_) continue;
          for (const ProofKind wanted : {kind, guard_kind}) {
            if (bounds_->is_refined(group, wanted, a, b)) continue;
            bounds_->refine(group, wanted, a, b);
            intervals_.push_back({i, wanted, static_cast<uint32_t>(a), static_cast<uint32_t>(b)});
            changed = true;
          }
        }
      }
    }
  }
  return changed;
}

PathQuery ChainProver::query_of(const Step& step) const {
  PathQuery query;
  query.group = solver_costs_.group_of(step.stage);
  query.kind = static_cast<Kind>(step.kind);
  query.first = step.first;
  query.last = step.last;
  if (step.first > 0) query.first_strategy = static_cast<int>(step.row);
  if (step.last + 1 < costs_.positions()) query.last_strategy = static_cast<int>(step.column);
  return query;
}

bool ChainProver::add_entry(const Step& step, const PathQuery& query, const PathAnswer& answer,
                            int64_t most) {
  const int64_t value = units(answer.lower);
  int64_t known = value_of(step);
  if (query.last_strategy == kAnyStrategy) {
    const auto row =
        table_of(step)->begin() + static_cast<std::ptrdiff_t>(step.row * costs_.strategies());
    known = *std::min_element(row, row + static_cast<std::ptrdiff_t>(costs_.strategies()));
  }
  if (value <= known) return false;
  ProofEntry entry;
  entry.interval = {static_cast<uint32_t>(step.stage), step.kind, static_cast<uint32_t>(step.first),
                    static_cast<uint32_t>(step.last)};
  entry.first_strategy = query.first_strategy;
  entry.last_strategy = query.last_strategy;
  entry.value = value;
  entry.most = most;
  const double scaled = std::ldexp(answer.lambda, static_cast<int>(shift_));
  if (scaled < 0x1.0p58 && costs_.in_range(shift_, std::llround(scaled))) {
    entry.multiplier = std::llround(scaled);
  }
  bounds_->raise(costs_.group_of(step.stage), entry);
  const Cell cell(table_of(step), step.row, query.last_strategy);
  if (most < kUnlimited) {
    entries_.push_back(entry);
    return true;
  }
  const auto [at, is_new] = entry_at_.emplace(cell, entries_.size());
  if (is_new) {
    entries_.push_back(entry);
  } else {
    entries_[at->second] = entry;
  }
  return true;
}

bool ChainProver::make_exact(const Step& step, int64_t rest) {
  PathQuery query = query_of(step);
  bool& exact = exact_[{table_of(step), step.row, query.last_strategy}];
  if (exact) return false;
  if (target_ < kUnlimited) query.cut = static_cast<double>(target_ - rest);
  const PathAnswer answer = shortest_path(solver_costs_, query);
  exact = answer.exact();
  return add_entry(step, query, answer, kUnlimited);
}

// A follower's time and what its readers pay are each at most the threshold.
bool ChainProver::make_follower_exact(const Step& step, int64_t high) {
  const PathQuery query = query_of(step);
  const size_t count = costs_.strategies();
  int64_t least = kUnlimited;
  for (size_t k = 0; k < count; ++k) {
    least = std::min(least, costs_.reshard_cross(step.first)[k * count + step.row]);
  }
  const PathAnswer answer =
      shortest_follower(solver_costs_, query, static_cast<double>(high),
                        static_cast<double>(high - std::min(least, high + 1)));
  return answer.exact() && add_entry(step, query, answer, high);
}

ChainProof ChainProver::proof(int64_t bound, int64_t hub_strategy) const {
  ChainProof proof;
  proof.hub_strategy = hub_strategy;
  proof.shift = shift_;
  proof.multipliers = multipliers_;
  const int64_t most = top(bound, costs_.microbatches());
  ProofBounds bounds(costs_, shift_, multipliers_, most);
  for (const ProofInterval& at : intervals_) {
    const size_t group = costs_.group_of(at.stage);
    if (!bounds.is_possible(group, at.kind, at.first, at.last)) continue;
    bounds.refine(group, at.kind, at.first, at.last);
    proof.intervals.push_back(at);
  }
  for (const ProofEntry& entry : entries_) {
    const ProofInterval& at = entry.interval;
    const size_t group = costs_.group_of(at.stage);
    if (bounds.is_refined(group, at.kind, at.first, at.last)) proof.entries.push_back(entry);
  }
  // Where several hold, the one for the largest bottlenecks first.
  std::stable_sort(proof.entries.begin(), proof.entries.end(),
                   [](const ProofEntry& a, const ProofEntry& b) { return a.most > b.most; });
  auto entry = proof.entries.begin();
  for (int64_t high = most; high >= 0;) {
    for (; entry != proof.entries.end() && entry->most >= high; ++entry) {
      bounds.raise(costs_.group_of(entry->interval.stage), *entry);
    }
    const int64_t sum = bounds.forward(high);
    const int64_t low = sum >= kUnlimited ? 0 : least_low(bound, sum);
    SOAPBOX_CHECK(low <= high, "a proof without what it was made from");
    const int64_t leaf = sum >= kUnlimited ? kUnlimited : sum + weight() * low;
    proof.leaves.push_back({low, high, leaf});
    high = low - 1;
  }
  return proof;
}

}  // namespace soapbox::miqp
