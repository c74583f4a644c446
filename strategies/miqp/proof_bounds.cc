#include "strategies/miqp/proof_bounds.h"

#include <algorithm>

#include "sim/base/check.h"

namespace soapbox::miqp {

ProofBounds::ProofBounds(const ProofCosts& costs, int64_t shift,
                         const std::vector<std::vector<int64_t>>& multipliers, int64_t most_time)
    : costs_(costs),
      shift_(shift),
      multipliers_(multipliers),
      rows_(costs.groups() * 3 * costs.positions()),
      sums_(costs.stages() * 2 * costs.positions() * costs.strategies(), kUnlimited) {
  SOAPBOX_CHECK(multipliers.size() == costs.groups(), "multipliers for each group of stages");
  // Zero bounds the time alone, whatever else is given.
  for (std::vector<int64_t>& group : multipliers_) group.push_back(0);
  const size_t n = costs.positions();
  for (size_t i = 0; i < costs.stages(); ++i) {
    if (costs.stages() > n) break;
    const size_t group = costs.group_of(i);
    const size_t end = n - (costs.stages() - 1 - i);
    for (size_t a = i; a < (i == 0 ? 1 : end); ++a) {
      const bool plain_alone = costs.hub() >= n;
      fill_row(group, ProofKind::kPlain, a, most_time, end);
      if (plain_alone) continue;
      if (a <= costs.hub()) fill_row(group, ProofKind::kHub, a, most_time, end);
      // Of a follower the time alone is limited, and that is the plain stage's.
      if (a > costs.hub()) {
        fill_row(group, ProofKind::kFollow, a, kUnlimited - 1,
                 a + rows_[row_at(group, ProofKind::kPlain, a)].flat.size());
      }
    }
  }
}

int64_t ProofBounds::weight(size_t group, ProofKind kind, size_t position, size_t multiplier,
                            size_t strategy) const {
  const int64_t time = costs_.time(kind, position)[strategy];
  if (time >= kUnlimited) return kUnlimited;
  const int64_t memory = costs_.memory(group, position)[strategy];
  if (multiplier == multipliers_[group].size()) return memory;
  return (time << shift_) + multipliers_[group][multiplier] * memory;
}

void ProofBounds::add_layer(size_t group, ProofKind kind, size_t position, size_t multiplier,
                            size_t rows, std::vector<int64_t>& weights,
                            std::vector<int64_t>& spare) const {
  const size_t count = costs_.strategies();
  const int64_t* const table = costs_.reshard(position);
  const bool memory_alone = multiplier == multipliers_[group].size();
  for (size_t r = 0; r < rows; ++r) {
    int64_t* const to = &spare[r * count];
    std::fill(to, to + count, kUnlimited);
    for (size_t k = 0; k < count; ++k) {
      const int64_t from = weights[r * count + k];
      if (from >= kUnlimited) continue;
      const int64_t* const step = table + k * count;
      if (memory_alone) {
        for (size_t l = 0; l < count; ++l) {
          to[l] = std::min(to[l], step[l] < kUnlimited ? from : kUnlimited);
        }
      } else {
        for (size_t l = 0; l < count; ++l) {
          const int64_t sum = step[l] < kUnlimited ? from + (step[l] << shift_) : kUnlimited;
          to[l] = std::min(to[l], sum);
        }
      }
    }
    for (size_t l = 0; l < count; ++l) {
      to[l] = std::min(to[l] + weight(group, kind, position, multiplier, l), kUnlimited);
    }
  }
  std::swap(weights, spare);
}

// The bound on the time that the least weight of a path says.
int64_t ProofBounds::bound_of(size_t group, size_t multiplier, int64_t least) const {
  const int64_t limit = costs_.limit(group);
  if (multiplier == multipliers_[group].size()) return least > limit ? kUnlimited : 0;
  if (least >= kUnlimited) return kUnlimited;
  const int64_t scaled = least - multipliers_[group][multiplier] * limit;
  return scaled <= 0 ? 0 : (scaled + (int64_t{1} << shift_) - 1) >> shift_;
}

// Runs of equal layers: what begins one layer earlier has the same bounds.
bool ProofBounds::copy_row(size_t group, ProofKind kind, size_t first, size_t end) {
  if (first == 0) return false;
  const Row& before = rows_[row_at(group, kind, first - 1)];
  // Where that row ended before `end`, the next interval was too long, and so
  // this one is if its layers are the same.
  if (before.tried != end || before.flat.empty()) return false;
  const size_t length = before.flat.size();
  for (size_t j = 0; j <= length && first + j < end; ++j) {
    if (costs_.type_of(first + j) != costs_.type_of(first - 1 + j)) return false;
  }
  Row& row = rows_[row_at(group, kind, first)];
  row.flat.assign(before.flat.begin(),
                  before.flat.begin() + static_cast<std::ptrdiff_t>(std::min(length, end - first)));
  row.tables.assign(row.flat.size(), nullptr);
  return true;
}

void ProofBounds::fill_row(size_t group, ProofKind kind, size_t first, int64_t most_time,
                           size_t end) {
  Row& row = rows_[row_at(group, kind, first)];
  if (row.tried >= end) return;  // another stage of the group had it
  row.tried = end;
  if (copy_row(group, kind, first, end)) return;
  row.flat.clear();
  const size_t count = costs_.strategies();
  const size_t multipliers = multipliers_[group].size() + 1;
  std::vector<std::vector<int64_t>> weights(multipliers, std::vector<int64_t>(count));
  std::vector<int64_t> spare(count);
  for (size_t b = first; b < end; ++b) {
    int64_t bound = 0;
    for (size_t j = 0; j < multipliers; ++j) {
      if (b == first) {
        for (size_t k = 0; k < count; ++k) weights[j][k] = weight(group, kind, b, j, k);
      } else {
        add_layer(group, kind, b, j, 1, weights[j], spare);
      }
      const int64_t least = *std::min_element(weights[j].begin(), weights[j].end());
      bound = std::max(bound, bound_of(group, j, least));
    }
    if (bound > most_time) break;  // and so are all longer ones
    row.flat.push_back(bound);
  }
  row.tables.assign(row.flat.size(), nullptr);
}

bool ProofBounds::is_possible(size_t group, ProofKind kind, size_t first, size_t last) const {
  return first <= last && last < costs_.positions() && last < end(group, kind, first);
}

bool ProofBounds::is_refined(size_t group, ProofKind kind, size_t first, size_t last) const {
  return is_possible(group, kind, first, last) &&
         rows_[row_at(group, kind, first)].tables[last - first] != nullptr;
}

IntervalBound ProofBounds::bound(size_t group, ProofKind kind, size_t first, size_t last) const {
  if (!is_possible(group, kind, first, last)) return {};
  const Row& row = rows_[row_at(group, kind, first)];
  return {row.flat[last - first], row.tables[last - first]};
}

ProofBounds::Class ProofBounds::class_of(size_t group, ProofKind kind, size_t first,
                                         size_t last) const {
  std::vector<uint32_t> types;
  for (size_t u = first; u <= last; ++u) types.push_back(costs_.type_of(u));
  return {group, kind, first == 0, std::move(types)};
}

void ProofBounds::refine(size_t group, ProofKind kind, size_t first, size_t last) {
  SOAPBOX_CHECK(is_possible(group, kind, first, last), "an interval that no plan can have");
  Table*& at = rows_[row_at(group, kind, first)].tables[last - first];
  if (at) return;
  std::unique_ptr<Table>& table = tables_[class_of(group, kind, first, last)];
  if (!table) {
    table = std::make_unique<Table>();
    fill_table(group, kind, first, last, *table);
  }
  at = table.get();
}

void ProofBounds::fill_table(size_t group, ProofKind kind, size_t first, size_t last,
                             Table& table) const {
  const size_t count = costs_.strategies();
  // The path's start is free: one row of weights, and of bounds.
  const size_t rows = first == 0 ? 1 : count;
  table.assign(rows * count, 0);
  std::vector<int64_t> weights(rows * count);
  std::vector<int64_t> spare(rows * count);
  for (size_t j = 0; j <= multipliers_[group].size(); ++j) {
    std::fill(weights.begin(), weights.end(), kUnlimited);
    for (size_t k = 0; k < count; ++k) {
      weights[rows == 1 ? k : k * count + k] = weight(group, kind, first, j, k);
    }
    for (size_t b = first + 1; b <= last; ++b) {
      add_layer(group, kind, b, j, rows, weights, spare);
    }
    for (size_t i = 0; i < table.size(); ++i) {
      table[i] = std::max(table[i], bound_of(group, j, weights[i]));
    }
  }
}

void ProofBounds::raise(size_t group, const ProofEntry& entry) {
  const ProofInterval& at = entry.interval;
  SOAPBOX_CHECK(is_refined(group, at.kind, at.first, at.last), "an entry of no table");
  Table& table = *rows_[row_at(group, at.kind, at.first)].tables[at.last - at.first];
  const auto count = static_cast<int64_t>(costs_.strategies());
  const int64_t rows = at.first == 0 ? 1 : count;
  for (int64_t r = 0; r < rows; ++r) {
    if (entry.first_strategy >= 0 && entry.first_strategy != r) continue;
    for (int64_t l = 0; l < count; ++l) {
      if (entry.last_strategy >= 0 && entry.last_strategy != l) continue;
      int64_t& cell = table[static_cast<size_t>(r * count + l)];
      cell = std::max(cell, entry.value);
    }
  }
}

void ProofBounds::entry_sums(size_t stage, size_t first, bool follows_hub, int64_t most,
                             std::span<int64_t> start) const {
  std::fill(start.begin(), start.end(), kUnlimited);
  if (stage == 0) {
    if (first == 0) start[0] = 0;
    return;
  }
  const size_t count = costs_.strategies();
  const int64_t* const from = sums(stage - 1, follows_hub, first - 1);
  const int64_t* const cross = costs_.reshard_cross(first);
  for (size_t k = 0; k < count; ++k) {
    if (from[k] >= kUnlimited) continue;
    for (size_t l = 0; l < count; ++l) {
      const int64_t step = cross[k * count + l];
      start[l] = std::min(start[l], step <= most ? from[k] + step : kUnlimited);
    }
  }
}

// All intervals of a stage with one first layer. What has one bound for all
// ends is collected in `flat`, by (holds the hub, last).
void ProofBounds::add_intervals(size_t stage, size_t first, bool follows_hub, int64_t most,
                                std::span<const int64_t> start, std::vector<int64_t>& flat) {
  const size_t n = costs_.positions();
  const size_t count = costs_.strategies();
  const size_t group = costs_.group_of(stage);
  const bool is_last = stage + 1 == costs_.stages();
  const int64_t least = *std::min_element(start.begin(), start.end());
  const size_t rows = first == 0 ? 1 : count;
  for (size_t b = is_last ? n - 1 : first; b < n - (costs_.stages() - 1 - stage); ++b) {
    const ProofKind kind = kind_of(first, b, follows_hub);
    const IntervalBound value = bound(group, kind, first, b);
    const IntervalBound guard =
        kind == ProofKind::kFollow ? bound(group, ProofKind::kPlain, first, b) : value;
    if (guard.flat > most || value.flat >= kUnlimited) continue;
    const bool holds = kind == ProofKind::kHub;
    if (!value.table && !guard.table) {
      int64_t& to = flat[(holds ? n : 0) + b];
      to = std::min(to, least + value.flat);
      continue;
    }
    int64_t* const to = sums_at(stage, holds, b);
    for (size_t r = 0; r < rows; ++r) {
      if (start[r] >= kUnlimited) continue;
      for (size_t l = 0; l < count; ++l) {
        const int64_t v = value.table ? (*value.table)[r * count + l] : value.flat;
        const int64_t g = guard.table ? (*guard.table)[r * count + l] : guard.flat;
        to[l] = std::min(to[l], g <= most && v < kUnlimited ? start[r] + v : kUnlimited);
      }
    }
  }
}

void ProofBounds::add_stage(size_t stage, int64_t most) {
  const size_t n = costs_.positions();
  const size_t count = costs_.strategies();
  std::vector<int64_t> start(count);
  std::vector<int64_t> flat(2 * n, kUnlimited);
  const size_t last_first = stage == 0 ? 0 : n - (costs_.stages() - stage);
  for (size_t a = stage; a <= last_first; ++a) {
    for (const bool follows_hub : {false, true}) {
      if (follows_hub && (a <= costs_.hub() || stage == 0)) continue;
      entry_sums(stage, a, follows_hub, most, start);
      if (*std::min_element(start.begin(), start.end()) >= kUnlimited) continue;
      add_intervals(stage, a, follows_hub, most, start, flat);
    }
  }
  for (const bool holds : {false, true}) {
    for (size_t b = 0; b < n; ++b) {
      int64_t* const to = sums_at(stage, holds, b);
      const int64_t least = flat[(holds ? n : 0) + b];
      for (size_t l = 0; l < count; ++l) to[l] = std::min(to[l], least);
    }
  }
}

int64_t ProofBounds::forward(int64_t most) {
  if (costs_.stages() > costs_.positions()) return kUnlimited;
  std::fill(sums_.begin(), sums_.end(), kUnlimited);
  for (size_t i = 0; i < costs_.stages(); ++i) add_stage(i, most);
  int64_t least = kUnlimited;
  for (const bool holds : {false, true}) {
    const int64_t* const last = sums(costs_.stages() - 1, holds, costs_.positions() - 1);
    least = std::min(least, *std::min_element(last, last + costs_.strategies()));
  }
  return least;
}

}  // namespace soapbox::miqp
