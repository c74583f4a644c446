// Alpa's two levels on the tables of UniAP (Zheng et al., OSDI 2022, sections 4 and 5).
//
// Within a stage, layers [u, v] on its devices, the strategies that minimise the traffic alone
// (computing is taken to be equally fast under all of them):
//
//   min sum of communication[u, k_u] + sum over neighbours of R  subject to  sum of memory <= limit
//
// Alpa solves this as an integer linear program; on a chain of layers it is solved here exactly by
// labels (memory, traffic) of which none dominates another. Between stages, over all t_max,
//
//   f[i, v; t_max] = min over u of f[i - 1, u - 1; t_max] + t[u, v]  with  t[u, v] <= t_max
//   total          = f + (c - 1) t_max
//
// with t[u, v] the time of the strategies found. Transfers between stages are not in it. Stages are
// equal submeshes here, because a plan's stages are. O(stages x layers^2) per t_max.
#include <algorithm>
#include <map>
#include <utility>

#include "strategies/uniap/planners.h"

namespace soapbox::strategies::uniap {
namespace {

// A partial choice for layers u..v that ends in one strategy.
struct Label {
  Bytes memory;
  double traffic_s = 0;
  double time_s = 0;
  uint32_t before = 0;  // label of the layer before
  uint16_t before_strategy = 0;
};

// What a stage of layers [first, last] takes; nothing where it does not fit.
struct StageChoice {
  double time_s = kNoCutoff;
  std::vector<size_t> strategy;
};

// All stages that begin with one layer.
class LabelChain {
 public:
  LabelChain(const CostTables& tables, size_t stage, size_t first)
      : tables_(tables), stage_(stage), first_(first) {}

  // Adds the next layer; false where nothing fits any more.
  bool extend();
  StageChoice best() const;
  uint64_t labels() const { return made_; }

 private:
  using Front = std::vector<std::vector<Label>>;  // by last strategy
  void add(size_t layer, size_t k, std::vector<Label>& labels);
  static void keep_undominated(std::vector<Label>& labels);

  const CostTables& tables_;
  size_t stage_;
  size_t first_;
  std::vector<Front> fronts_;  // by layer
  uint64_t made_ = 0;
};

void LabelChain::keep_undominated(std::vector<Label>& labels) {
  std::stable_sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) {
    if (a.memory != b.memory) return a.memory < b.memory;
    return a.traffic_s < b.traffic_s;
  });
  double least = kNoCutoff;
  std::erase_if(labels, [&](const Label& label) {
    if (label.traffic_s >= least) return true;
    least = label.traffic_s;
    return false;
  });
}

void LabelChain::add(size_t layer, size_t k, std::vector<Label>& labels) {
  const size_t entry = tables_.at(layer, k);
  if (!tables_.allowed[entry]) return;
  const Bytes own = tables_.layer_bytes(layer, k, stage_);
  const double traffic = tables_.communication_s[entry];
  const double time = tables_.compute_s[entry];
  if (layer == first_) {
    if (own <= tables_.limit[stage_]) labels.push_back({own, traffic, time, 0, 0});
    return;
  }
  const size_t edge = chain_edge(tables_, layer - 1);
  const Front& before = fronts_.back();
  for (size_t from = 0; from < before.size(); ++from) {
    const double reshard = tables_.reshard_s[tables_.at(edge, from, k)];
    for (size_t i = 0; i < before[from].size(); ++i) {
      const Label& label = before[from][i];
      if (label.memory + own > tables_.limit[stage_]) break;  // sorted by memory
      labels.push_back({label.memory + own, label.traffic_s + reshard + traffic,
                        label.time_s + reshard + time, static_cast<uint32_t>(i),
                        static_cast<uint16_t>(from)});
    }
  }
}

bool LabelChain::extend() {
  const size_t layer = first_ + fronts_.size();
  Front front(tables_.strategies.size());
  bool any = false;
  for (size_t k = 0; k < front.size(); ++k) {
    add(layer, k, front[k]);
    made_ += front[k].size();
    keep_undominated(front[k]);
    any |= !front[k].empty();
  }
  fronts_.push_back(std::move(front));
  return any;
}

StageChoice LabelChain::best() const {
  const Front& front = fronts_.back();
  const Label* best = nullptr;
  size_t strategy = 0;
  for (size_t k = 0; k < front.size(); ++k) {
    // The last label of a front has the least traffic.
    if (front[k].empty() || (best != nullptr && front[k].back().traffic_s >= best->traffic_s)) {
      continue;
    }
    best = &front[k].back();
    strategy = k;
  }
  StageChoice choice;
  if (best == nullptr) return choice;
  choice.time_s = best->time_s;
  choice.strategy.resize(fronts_.size());
  for (size_t i = fronts_.size(); i-- > 0;) {
    choice.strategy[i] = strategy;
    strategy = best->before_strategy;
    if (i > 0) best = &fronts_[i - 1][strategy][best->before];
  }
  return choice;
}

// stages[u][v]: the choice for layers [u, u + v] on `stage`.
std::vector<std::vector<StageChoice>> all_stages(const CostTables& tables, size_t stage,
                                                 const PlanLimits& limits, uint64_t& labels) {
  std::vector<std::vector<StageChoice>> found(tables.layers);
  for (size_t u = 0; u < tables.layers && !limits.stopped(); ++u) {
    LabelChain chain(tables, stage, u);
    for (size_t v = u; v < tables.layers && chain.extend(); ++v) found[u].push_back(chain.best());
    labels += chain.labels();
  }
  return found;
}

class InterDp {
 public:
  InterDp(const CostTables& tables, const PlanLimits& limits) : tables_(tables), limits_(limits) {}
  CellAnswer solve();

 private:
  const StageChoice* stage(size_t i, size_t u, size_t v) const {
    const auto& from = stages_.at(kind(i))[u];
    return v - u < from.size() ? &from[v - u] : nullptr;
  }
  // Stages that hold as much and may hold as much share a table.
  std::pair<int64_t, Bytes> kind(size_t i) const {
    return {tables_.in_flight[i], tables_.limit[i]};
  }
  // The least sum of stage times, all at most t_max; fills begin_.
  double least_sum(double t_max);
  std::vector<double> candidates() const;

  const CostTables& tables_;
  const PlanLimits& limits_;
  std::map<std::pair<int64_t, Bytes>, std::vector<std::vector<StageChoice>>> stages_;  // by kind
  std::vector<size_t> begin_;
};

std::vector<double> InterDp::candidates() const {
  std::vector<double> times;
  for (const auto& [stage_kind, table] : stages_) {
    for (const auto& row : table) {
      for (const StageChoice& choice : row) times.push_back(choice.time_s);
    }
  }
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  return times;
}

double InterDp::least_sum(double t_max) {
  const auto stages = static_cast<size_t>(tables_.stages);
  std::vector<std::vector<double>> sum(stages, std::vector<double>(tables_.layers, kNoCutoff));
  std::vector<std::vector<size_t>> from(stages, std::vector<size_t>(tables_.layers, 0));
  for (size_t i = 0; i < stages; ++i) {
    for (size_t v = i; v < tables_.layers; ++v) {
      for (size_t u = i == 0 ? 0 : i; u <= (i == 0 ? 0 : v); ++u) {
        const StageChoice* choice = stage(i, u, v);
        const double before = i == 0 ? 0 : sum[i - 1][u - 1];
        if (choice == nullptr || choice->time_s > t_max) continue;
        if (before + choice->time_s < sum[i][v]) {
          sum[i][v] = before + choice->time_s;
          from[i][v] = u;
        }
      }
    }
  }
  begin_.assign(stages, 0);
  size_t last = tables_.layers - 1;
  const double best = sum[stages - 1][last];
  if (best == kNoCutoff) return best;
  for (size_t i = stages; i-- > 0;) {
    begin_[i] = from[i][last];
    if (i > 0) last = begin_[i] - 1;
  }
  return best;
}

CellAnswer InterDp::solve() {
  CellAnswer answer;
  answer.solver = "integer program and dynamic program";
  for (size_t i = 0; i < tables_.in_flight.size(); ++i) {
    if (stages_.contains(kind(i))) continue;
    stages_[kind(i)] = all_stages(tables_, i, limits_, answer.labels);
  }
  const double waits = static_cast<double>(tables_.microbatches - 1);
  double best_s = kNoCutoff;
  double last_tried = -kNoCutoff;
  constexpr double kStep_s = 1e-6;  // Alpa's: closer candidates are skipped
  for (const double t_max : candidates()) {
    if (t_max * waits >= best_s || limits_.stopped()) break;
    if (t_max - last_tried < kStep_s && best_s < kNoCutoff) continue;
    last_tried = t_max;
    const double total = least_sum(t_max) + waits * t_max;
    if (total >= best_s) continue;
    best_s = total;
    Assignment plan{begin_, {}};
    plan.strategy.resize(tables_.layers);
    for (size_t i = 0; i < begin_.size(); ++i) {
      const size_t end = plan.stage_end(i);
      const StageChoice* choice = stage(i, begin_[i], end - 1);
      std::copy(choice->strategy.begin(), choice->strategy.end(),
                plan.strategy.begin() + static_cast<ptrdiff_t>(begin_[i]));
    }
    answer.assignment = std::move(plan);
  }
  if (!answer.assignment) {
    answer.reason = limits_.stopped() ? "stopped" : "no cut into stages fits into memory";
  }
  return answer;
}

}  // namespace

CellAnswer plan_alpa(const CostTables& tables, const PlanLimits& limits) {
  if (tables.layers < static_cast<size_t>(tables.stages)) {
    CellAnswer answer;
    answer.reason = "fewer layers than stages";
    return answer;
  }
  return InterDp(tables, limits).solve();
}

}  // namespace soapbox::strategies::uniap
