#include "strategies/miqp/proof_labels.h"

#include <algorithm>
#include <bit>
#include <map>

namespace soapbox::miqp {
namespace {

struct Choice {
  uint32_t layer;
  uint32_t stage;
  uint32_t strategy;
  friend auto operator<=>(const Choice&, const Choice&) = default;
};

struct Partial {
  std::vector<Choice> frontier;  // layers with readers to come
  uint64_t used = 0;             // stages with a layer
  std::vector<int64_t> time;     // p, then o; forgotten where it cannot grow
  std::vector<int64_t> memory;
  int64_t sum = 0;  // of all p and o
  int64_t stage_sum = 0;
  int64_t bottleneck = 0;
  int64_t bound = 0;
};

bool is_at_most(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
  }
  return true;
}

bool covers(const Partial& a, const Partial& b) {
  return a.sum <= b.sum && a.bottleneck <= b.bottleneck && a.stage_sum <= b.stage_sum &&
         is_at_most(a.time, b.time) && is_at_most(a.memory, b.memory);
}

class Enumeration {
 public:
  Enumeration(const Instance& in, int64_t bound) : in_(in), bound_(bound) {
    order_ = topological_order(in);
    std::vector<size_t> position(in.layers);
    for (size_t t = 0; t < order_.size(); ++t) position[order_[t]] = t;
    into_.resize(in.layers);
    last_reader_.assign(in.layers, 0);
    std::vector<bool> has_source(in.layers, false);
    for (size_t e = 0; e < in.edges.size(); ++e) {
      const Edge edge = in.edges[e];
      into_[edge.to].push_back(e);
      has_source[edge.to] = true;
      last_reader_[edge.from] = std::max(last_reader_[edge.from], position[edge.to]);
    }
    rest_.assign(in.layers + 1, 0);
    all_have_sources_.assign(in.layers + 1, true);
    for (size_t t = in.layers; t-- > 0;) {
      int64_t least = kUnlimited;
      for (size_t k = 0; k < in.strategies; ++k) {
        if (in.allowed(order_[t], k)) least = std::min(least, in.compute_at(order_[t], k));
      }
      rest_[t] = std::min(rest_[t + 1] + least, kUnlimited);
      all_have_sources_[t] = all_have_sources_[t + 1] && has_source[order_[t]];
    }
  }

  LabelVerdict run(uint64_t most_labels, uint64_t& labels) {
    if (rest_[0] >= kUnlimited) return LabelVerdict::kHolds;  // a layer without any strategy
    std::vector<Partial> level(1);
    level[0].time.assign(2 * in_.stages, 0);
    level[0].memory.assign(in_.stages, 0);
    for (size_t t = 0; t < in_.layers; ++t) {
      std::map<std::pair<std::vector<Choice>, uint64_t>, std::vector<Partial>> groups;
      for (const Partial& from : level) {
        place(t, from, groups, labels);
        if (labels > most_labels) return LabelVerdict::kTooLarge;
      }
      level.clear();
      for (auto& [key, group] : groups) keep_front(group, level);
    }
    return level.empty() ? LabelVerdict::kHolds : LabelVerdict::kTooHigh;
  }

 private:
  template <class Groups>
  void place(size_t t, const Partial& from, Groups& groups, uint64_t& labels) const {
    for (uint32_t stage = 0; stage < in_.stages; ++stage) {
      for (uint32_t k = 0; k < in_.strategies; ++k) {
        const Choice choice{order_[t], stage, k};
        if (!may_hold(choice, from)) continue;
        Partial to = from;
        if (!extend(t, choice, to)) continue;
        auto& group = groups[{to.frontier, to.used}];
        group.push_back(std::move(to));
        ++labels;
      }
    }
  }

  // What is refused without a copy: (4), (5) and strategies that are not allowed.
  bool may_hold(const Choice& choice, const Partial& from) const {
    if (!in_.allowed(choice.layer, choice.strategy)) return false;
    const int64_t memory = in_.memory_at(choice.stage, choice.layer, choice.strategy);
    if (from.memory[choice.stage] + memory > in_.memory_limit[choice.stage]) return false;
    return std::all_of(into_[choice.layer].begin(), into_[choice.layer].end(), [&](size_t e) {
      return source(from, in_.edges[e].from).stage <= choice.stage;
    });
  }
  static const Choice& source(const Partial& from, uint32_t layer) {
    return *std::find_if(from.frontier.begin(), from.frontier.end(),
                         [&](const Choice& c) { return c.layer == layer; });
  }

  static void add(Partial& to, size_t at, int64_t time) {
    to.time[at] += time;
    to.sum += time;
    to.bottleneck = std::max(to.bottleneck, to.time[at]);
  }

  // Equations (2) and (3) for the edges into a layer.
  bool charge_edges(const Choice& choice, Partial& to) const {
    for (const size_t e : into_[choice.layer]) {
      const Choice from = source(to, in_.edges[e].from);
      const bool inside = from.stage == choice.stage;
      const bool is_long = choice.stage > from.stage + 1;
      if (is_long && in_.long_edges == LongEdges::kFree) continue;
      const int64_t time = inside ? in_.reshard_at(e, from.strategy, choice.strategy)
                                  : in_.reshard_cross_at(e, from.strategy, choice.strategy);
      if (time == kNotAllowed) return false;
      if (inside) {
        add(to, choice.stage, time);
        to.stage_sum += time;
      }
      for (uint32_t j = from.stage; j < choice.stage; ++j) add(to, in_.stages + j, time);
    }
    return true;
  }

  bool extend(size_t t, const Choice& choice, Partial& to) const {
    to.memory[choice.stage] += in_.memory_at(choice.stage, choice.layer, choice.strategy);
    const int64_t compute = in_.compute_at(choice.layer, choice.strategy);
    add(to, choice.stage, compute);
    to.stage_sum += compute;
    if (!charge_edges(choice, to)) return false;
    to.used |= uint64_t{1} << choice.stage;
    const size_t empty = in_.stages - static_cast<size_t>(std::popcount(to.used));
    if (!in_.empty_stages && empty > in_.layers - t - 1) return false;
    to.frontier.push_back(choice);
    std::erase_if(to.frontier, [&](const Choice& c) { return last_reader_[c.layer] <= t; });
    const auto stages = static_cast<int64_t>(in_.stages);
    const int64_t average = (to.stage_sum + rest_[t + 1] + stages - 1) / stages;
    to.bound = to.sum + rest_[t + 1] + (in_.microbatches - 1) * std::max(to.bottleneck, average);
    if (to.bound >= bound_) return false;
    forget_closed(t, to);
    return true;
  }

  // Stages before all those that have readers to come hold what they hold.
  void forget_closed(size_t t, Partial& to) const {
    if (!all_have_sources_[t + 1]) return;
    uint32_t first = static_cast<uint32_t>(in_.stages);
    for (const Choice& c : to.frontier) first = std::min(first, c.stage);
    for (size_t i = 0; i < first; ++i) {
      to.time[i] = to.memory[i] = 0;
      if (i + 1 < first) to.time[in_.stages + i] = 0;
    }
  }

  static void keep_front(std::vector<Partial>& group, std::vector<Partial>& kept) {
    std::sort(group.begin(), group.end(), [](const Partial& a, const Partial& b) {
      return a.bound != b.bound ? a.bound < b.bound : a.sum < b.sum;
    });
    const size_t first = kept.size();
    for (Partial& partial : group) {
      const bool useless =
          std::any_of(kept.begin() + static_cast<std::ptrdiff_t>(first), kept.end(),
                      [&](const Partial& other) { return covers(other, partial); });
      if (!useless) kept.push_back(std::move(partial));
    }
  }

  const Instance& in_;
  int64_t bound_;
  std::vector<uint32_t> order_;
  std::vector<std::vector<size_t>> into_;  // [layer]: edges
  std::vector<size_t> last_reader_;        // [layer]: a position
  std::vector<int64_t> rest_;              // least compute of the positions from t on
  std::vector<bool> all_have_sources_;     // the positions from t on
};

}  // namespace

LabelVerdict check_by_labels(const Instance& instance, int64_t bound, uint64_t most_labels,
                             uint64_t& labels) {
  return Enumeration(instance, bound).run(most_labels, labels);
}

}  // namespace soapbox::miqp
