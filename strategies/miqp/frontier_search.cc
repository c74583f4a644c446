#include "strategies/miqp/frontier_search.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <map>

#include "sim/base/check.h"

namespace soapbox::miqp {
namespace {

struct Label {
  std::vector<int64_t> load;       // p, then memory, then o, by stage
  std::vector<uint32_t> frontier;  // stage x strategies + strategy of each layer
                                   // with readers to come
  uint64_t used = 0;               // stages that have a layer
  int64_t stage_sum = 0;
  int64_t sum = 0;  // of p and o
  int64_t bottleneck = 0;
  int64_t bound = 0;
  uint32_t trace = 0;
};

struct Trace {
  uint32_t parent;
  uint32_t choice;
};
constexpr uint32_t kNoTrace = ~uint32_t{0};

// Of all levels together: some ten seconds.
constexpr uint64_t kMostLabels = 4000000;

struct Reader {
  size_t slot;  // of the edge's source in the frontier before this position
  size_t edge;
};

class FrontierSearch {
 public:
  FrontierSearch(const Instance& in, const Chain& chain, const Stopwatch& stopwatch,
                 ChainIncumbent& best)
      : in_(in),
        chain_(chain),
        stopwatch_(stopwatch),
        best_(best),
        readers_(in.layers),
        kept_(in.layers),
        open_from_(in.layers),
        rest_(in.layers + 1, 0) {
    find_frontiers();
    for (size_t t = in.layers; t-- > 0;) {
      int64_t least = kNotAllowed;
      for (size_t k = 0; k < in.strategies; ++k) {
        if (in.allowed(chain.order[t], k)) {
          least = std::min(least, in.compute_at(chain.order[t], k));
        }
      }
      possible_ = possible_ && least != kNotAllowed;
      rest_[t] = rest_[t + 1] + (least == kNotAllowed ? 0 : least);
    }
  }

  ChainOutcome run(size_t width) {
    outcome_.bound = best_.objective;
    if (!possible_) return std::move(outcome_);
    pass(std::min<size_t>(width, 500));
    if (dropped_ >= best_.objective) return finish();
    pass(width);
    return finish();
  }

 private:
  bool is_over() const { return outcome_.labels > kMostLabels || stopwatch_.expired(); }
  ChainOutcome finish() {
    outcome_.bound = std::min(dropped_, best_.objective);
    outcome_.complete = outcome_.bound >= best_.objective;
    return std::move(outcome_);
  }

  // By position: the edges into it, and which slots of the frontier before it
  // stay.
  void find_frontiers() {
    std::vector<size_t> position(in_.layers);
    for (size_t t = 0; t < in_.layers; ++t) position[chain_.order[t]] = t;
    std::vector<size_t> last_reader(in_.layers, 0);
    std::vector<bool> has_source(in_.layers, false);
    for (const Edge edge : in_.edges) {
      size_t& last = last_reader[position[edge.from]];
      last = std::max(last, position[edge.to]);
      has_source[position[edge.to]] = true;
    }
    std::vector<size_t> frontier;  // positions
    for (size_t t = 0; t < in_.layers; ++t) {
      for (size_t e = 0; e < in_.edges.size(); ++e) {
        if (position[in_.edges[e].to] != t) continue;
        const auto slot = std::find(frontier.begin(), frontier.end(), position[in_.edges[e].from]);
        readers_[t].push_back({static_cast<size_t>(slot - frontier.begin()), e});
      }
      std::vector<size_t> next;
      frontier.push_back(t);
      for (size_t slot = 0; slot < frontier.size(); ++slot) {
        if (last_reader[frontier[slot]] <= t) continue;
        kept_[t].push_back(slot);
        next.push_back(frontier[slot]);
      }
      frontier = std::move(next);
      // A layer to come without any source may be on every stage.
      open_from_[t] = true;
      for (size_t v = t + 1; v < in_.layers; ++v) open_from_[t] = open_from_[t] && has_source[v];
    }
  }

  // The first stage that can still grow after position t, given its frontier.
  size_t first_open(size_t t, const Label& label) const {
    if (!open_from_[t]) return 0;
    size_t first = in_.stages;
    for (const uint32_t choice : label.frontier) {
      first = std::min<size_t>(first, choice / in_.strategies);
    }
    return first;
  }

  void set_bound(size_t t, Label& label) const {
    const int64_t rest = rest_[t + 1];
    const auto stages = static_cast<int64_t>(in_.stages);
    const int64_t average = (label.stage_sum + rest + stages - 1) / stages;
    label.bound = label.sum + rest + (in_.microbatches - 1) * std::max(label.bottleneck, average);
  }

  bool extend(size_t t, const Label& from, uint32_t stage, uint32_t strategy, Label& to) const {
    const uint32_t layer = chain_.order[t];
    to = from;
    int64_t& memory = to.load[in_.stages + stage];
    memory += in_.memory_at(stage, layer, strategy);
    if (memory > in_.memory_limit[stage]) return false;
    const auto add = [&to](size_t at, int64_t time) {
      to.load[at] += time;
      to.sum += time;
      to.bottleneck = std::max(to.bottleneck, to.load[at]);
    };
    add(stage, in_.compute_at(layer, strategy));
    for (const Reader& reader : readers_[t]) {
      const uint32_t source = from.frontier[reader.slot] / static_cast<uint32_t>(in_.strategies);
      const uint32_t k = from.frontier[reader.slot] % static_cast<uint32_t>(in_.strategies);
      if (source == stage) {
        const int64_t time = in_.reshard_at(reader.edge, k, strategy);
        if (time == kNotAllowed) return false;
        add(stage, time);
      } else if (stage == source + 1 || in_.long_edges == LongEdges::kPerHop) {
        const int64_t time = in_.reshard_cross_at(reader.edge, k, strategy);
        if (time == kNotAllowed) return false;
        for (size_t j = source; j < stage; ++j) add(2 * in_.stages + j, time);
      }
    }
    to.stage_sum += to.load[stage] - from.load[stage];
    to.used |= uint64_t{1} << stage;
    to.frontier.push_back(stage * static_cast<uint32_t>(in_.strategies) + strategy);
    for (size_t i = 0; i < kept_[t].size(); ++i) to.frontier[i] = to.frontier[kept_[t][i]];
    to.frontier.resize(kept_[t].size());
    const size_t empty = in_.stages - static_cast<size_t>(std::popcount(to.used));
    if (!in_.empty_stages && empty > in_.layers - t - 1) return false;
    set_bound(t, to);
    return to.bound < best_.objective;
  }

  // Labels of one frontier without those that another makes useless.
  void keep_best(size_t t, std::vector<Label>& labels) const {
    std::sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) {
      return a.bound != b.bound ? a.bound < b.bound : a.trace < b.trace;
    });
    const size_t open = first_open(t, labels[0]);
    const size_t cross = open == 0 ? 0 : open - 1;
    const auto covers = [&](const Label& a, const Label& b) {
      if (a.sum > b.sum || a.bottleneck > b.bottleneck) return false;
      for (size_t i = open; i < 2 * in_.stages; ++i) {
        if (i >= in_.stages && i < in_.stages + open) continue;
        if (a.load[i] > b.load[i]) return false;
      }
      for (size_t i = 2 * in_.stages + cross; i < a.load.size(); ++i) {
        if (a.load[i] > b.load[i]) return false;
      }
      return true;
    };
    std::vector<Label> kept;
    for (Label& label : labels) {
      const bool useless = std::any_of(kept.begin(), kept.end(),
                                       [&](const Label& other) { return covers(other, label); });
      if (!useless) kept.push_back(std::move(label));
    }
    labels = std::move(kept);
  }

  std::vector<Label> next_level(size_t t, const std::vector<Label>& level) {
    std::map<std::pair<std::vector<uint32_t>, uint64_t>, std::vector<Label>> groups;
    Label label;
    size_t done = 0;
    for (const Label& from : level) {
      if (++done % 1024 == 0 && is_over()) {
        // The level is sorted by nothing: any of the rest may be the least.
        for (size_t i = done - 1; i < level.size(); ++i) {
          dropped_ = std::min(dropped_, level[i].bound);
        }
        break;
      }
      uint32_t first = 0;
      for (const Reader& reader : readers_[t]) {
        first = std::max(first, from.frontier[reader.slot] / static_cast<uint32_t>(in_.strategies));
      }
      for (uint32_t stage = first; stage < in_.stages; ++stage) {
        for (uint32_t k = 0; k < in_.strategies; ++k) {
          if (!in_.allowed(chain_.order[t], k) || !extend(t, from, stage, k, label)) continue;
          label.trace = static_cast<uint32_t>(traces_.size());
          traces_.push_back({from.trace, stage * static_cast<uint32_t>(in_.strategies) + k});
          groups[{label.frontier, label.used}].push_back(label);
          ++outcome_.labels;
        }
      }
    }
    std::vector<Label> next;
    for (auto& [key, labels] : groups) {
      keep_best(t, labels);
      std::move(labels.begin(), labels.end(), std::back_inserter(next));
    }
    return next;
  }

  void pass(size_t width) {
    dropped_ = kNoObjective;
    traces_.clear();
    std::vector<Label> level(1);
    level[0].load.assign(3 * in_.stages - 1, 0);
    level[0].trace = kNoTrace;
    for (size_t t = 0; t < in_.layers; ++t) {
      level = next_level(t, level);
      ++outcome_.nodes;
      const size_t most = is_over() ? 1 : width;
      if (level.size() <= most) continue;
      std::sort(level.begin(), level.end(), [](const Label& a, const Label& b) {
        return a.bound != b.bound ? a.bound < b.bound : a.trace < b.trace;
      });
      dropped_ = std::min(dropped_, level[most].bound);
      level.resize(most);
    }
    for (const Label& label : level) {
      if (label.bound < best_.objective) take(label);
    }
  }

  void take(const Label& label) {
    Assignment plan;
    plan.stage.resize(in_.layers);
    plan.strategy.resize(in_.layers);
    uint32_t trace = label.trace;
    for (size_t t = in_.layers; t-- > 0; trace = traces_[trace].parent) {
      plan.stage[chain_.order[t]] = traces_[trace].choice / static_cast<uint32_t>(in_.strategies);
      plan.strategy[chain_.order[t]] =
          traces_[trace].choice % static_cast<uint32_t>(in_.strategies);
    }
    const Result<Cost> cost = cost_of(in_, plan);
    SOAPBOX_CHECK(cost.has_value(), "the frontier search built a plan that breaks a constraint");
    if (cost->objective < best_.objective) {
      best_.take(std::move(plan), cost->objective, stopwatch_);
    }
  }

  const Instance& in_;
  const Chain& chain_;
  const Stopwatch& stopwatch_;
  ChainIncumbent& best_;
  std::vector<std::vector<Reader>> readers_;
  std::vector<std::vector<size_t>> kept_;
  std::vector<bool> open_from_;  // the frontier alone decides which stages may grow
  std::vector<int64_t> rest_;    // least compute of the positions from t on
  bool possible_ = true;
  std::vector<Trace> traces_;
  int64_t dropped_ = kNoObjective;  // the least bound of the labels that a pass gave up
  ChainOutcome outcome_;
};

}  // namespace

ChainOutcome search_frontier(const Instance& instance, const Chain& chain,
                             const Stopwatch& stopwatch, ChainIncumbent& best,
                             size_t labels_per_level) {
  SOAPBOX_CHECK(instance.stages <= 64, "too many stages for the frontier search");
  return FrontierSearch(instance, chain, stopwatch, best).run(labels_per_level);
}

}  // namespace soapbox::miqp
