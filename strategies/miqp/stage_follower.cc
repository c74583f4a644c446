// shortest_follower(): see stage_path.h.
#include <algorithm>
#include <cmath>

#include "strategies/miqp/stage_path.h"

namespace soapbox::miqp {
namespace {

struct Label {
  double time;
  double extra;
  double memory;
  uint32_t parent;
  uint16_t strategy;
};
constexpr uint32_t kNoLabel = ~uint32_t{0};

// Keeps the labels that no other is at most in all three costs.
void keep_front(const std::vector<Label>& pool, std::vector<uint32_t>& labels) {
  std::sort(labels.begin(), labels.end(), [&pool](uint32_t a, uint32_t b) {
    const Label& x = pool[a];
    const Label& y = pool[b];
    if (x.time != y.time) return x.time < y.time;
    if (x.extra != y.extra) return x.extra < y.extra;
    return x.memory != y.memory ? x.memory < y.memory : a < b;
  });
  size_t kept = 0;
  for (const uint32_t label : labels) {
    const Label& y = pool[label];
    const bool dominated = std::any_of(
        labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(kept), [&](uint32_t other) {
          return pool[other].extra <= y.extra && pool[other].memory <= y.memory;
        });
    if (!dominated) labels[kept++] = label;
  }
  labels.resize(kept);
}

}  // namespace

PathAnswer shortest_follower(const StageCosts& costs, const PathQuery& query, double most_time,
                             double most_extra) {
  const size_t count = costs.strategies();
  const double limit = costs.limit(query.group);
  const uint64_t label_limit = std::min<uint64_t>(query.label_limit, 400000);
  std::vector<Label> pool;
  std::vector<std::vector<uint32_t>> fronts(count);
  PathAnswer answer;
  for (size_t u = query.first; u <= query.last; ++u) {
    const double* const time = costs.time(u);
    const double* const extra = costs.cross_extra(u);
    const double* const memory = costs.memory(query.group, u);
    std::vector<std::vector<uint32_t>> next(count);
    for (size_t l = 0; l < count; ++l) {
      const auto add = [&](Label label) {
        label.time += time[l];
        label.extra += extra[l];
        label.memory += memory[l];
        if (label.time > most_time || label.extra > most_extra || label.memory > limit) return;
        next[l].push_back(static_cast<uint32_t>(pool.size()));
        pool.push_back(label);
      };
      const auto strategy = static_cast<uint16_t>(l);
      if (u == query.first) {
        if (query.first_strategy == kAnyStrategy || query.first_strategy == static_cast<int>(l)) {
          add({0, 0, 0, kNoLabel, strategy});
        }
        continue;
      }
      for (size_t k = 0; k < count; ++k) {
        const double step = costs.reshard(u)[k * count + l];
        for (const uint32_t from : fronts[k]) {
          const Label& label = pool[from];
          add({label.time + step, label.extra, label.memory, from, strategy});
        }
      }
      keep_front(pool, next[l]);
      if (pool.size() > label_limit) return answer;
    }
    fronts = std::move(next);
  }
  answer.labels = pool.size();
  uint32_t best = kNoLabel;
  for (size_t l = 0; l < count; ++l) {
    if (query.last_strategy != kAnyStrategy && query.last_strategy != static_cast<int>(l)) continue;
    for (const uint32_t label : fronts[l]) {
      const double value = pool[label].time + pool[label].extra;
      if (value < answer.upper) {
        answer.upper = value;
        best = label;
      }
    }
  }
  answer.lower = answer.upper;
  for (uint32_t label = best; label != kNoLabel; label = pool[label].parent) {
    answer.path.push_back(pool[label].strategy);
  }
  std::reverse(answer.path.begin(), answer.path.end());
  return answer;
}

}  // namespace soapbox::miqp
