#include "strategies/miqp/chain_search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <queue>

#include "sim/base/check.h"
#include "strategies/miqp/stage_path.h"
#include "strategies/miqp/stage_program.h"
#include "strategies/miqp/stage_tables.h"
#include "strategies/miqp/start_plan.h"

namespace soapbox::miqp {
namespace {

struct Node {
  double low = 0;
  double high = 0;
  double bound = 0;
};
struct LaterNode {
  // Times made exact under a threshold hold below it only: with a hub, from the top down.
  bool by_bottleneck = false;
  bool operator()(const Node& a, const Node& b) const {
    if (by_bottleneck) return a.high < b.high;
    return a.bound != b.bound ? a.bound > b.bound : a.low > b.low;
  }
};

// A whole number of at most 2^62 that may be infinite.
int64_t units(double value) {
  return value >= 0x1.0p62 ? kNoObjective : static_cast<int64_t>(value);
}

class ChainSearch {
 public:
  ChainSearch(const Instance& in, const Chain& chain, const StageCosts& costs,
              const Stopwatch& stopwatch, ChainIncumbent& best)
      : in_(in),
        chain_(chain),
        costs_(costs),
        stopwatch_(stopwatch),
        best_(best),
        weight_(static_cast<double>(in.microbatches - 1)),
        tables_(costs, choose_lambdas(costs)),
        coarse_cross_(least_cross()),
        coarse_(costs.positions(), costs.stages(), 1, cross_tables(true)) {}

  ChainOutcome run();
  std::vector<uint8_t> live();

 private:
  std::vector<double> least_cross() const;
  std::vector<const double*> cross_tables(bool coarse) const;
  double cutoff() const {
    return best_.objective == kNoObjective ? kInfinity : static_cast<double>(best_.objective);
  }
  // The largest bottleneck of a plan below the cutoff whose sum is at least `sum`.
  double most_bottleneck(double sum) const {
    if (weight_ == 0 || cutoff() == kInfinity) return kInfinity;
    return std::floor((cutoff() - 1 - sum) / weight_);
  }
  void offer(const Assignment& plan, int64_t objective) {
    if (objective < best_.objective) best_.take(plan, objective, stopwatch_);
  }

  // The coarse program below the cutoff. False: there is no plan below it.
  bool start();
  void add_coarse_arcs(double most);
  bool prune(StageProgram& program);
  bool near_path(size_t stage, const StageArc& arc, const std::vector<StageArc>& path) const;
  std::vector<StageArc> coarse_path();
  StageProgram fine_program(const std::vector<StageArc>* path);

  void search(StageProgram& program, bool record);
  void process(StageProgram& program, Node node, bool record);
  // False if an entry could not be made exact within the limit of labels.
  bool refine(StageProgram& program, const std::vector<StageStep>& steps, double sum,
              const Node& node);
  bool is_exact(const StageProgram& program, const std::vector<StageStep>& steps) const;
  Assignment plan_of(const StageProgram& program, const std::vector<StageStep>& steps);

  // The intervals [first, last] of a row, for last from `from` to `end` - 1, as arcs of a stage.
  void add_arcs(size_t stage, Kind kind, size_t first, size_t from, size_t end,
                const std::vector<double>& value, const std::vector<double>& guard);
  void build_tables(StageProgram& fine, size_t stage);
  // Makes the hub's followers on a path exact under the node's threshold. False: nothing changed.
  bool refine_followers(const StageProgram& program, const std::vector<StageStep>& steps,
                        const Node& node);

  StageTable& table_of(size_t stage, const StageArc& arc) {
    return tables_.table(costs_.group_of(stage), arc.kind, arc.first, arc.last);
  }

  const Instance& in_;
  const Chain& chain_;
  const StageCosts& costs_;
  const Stopwatch& stopwatch_;
  ChainIncumbent& best_;
  double weight_;  // of the bottleneck
  StageTables tables_;
  std::vector<double> coarse_cross_;
  StageProgram coarse_;
  std::vector<std::vector<double>> coarse_rows_;  // [group][kind][first]
  double low_ = 0;                                // the root node
  double high_ = kInfinity;
  std::priority_queue<Node, std::vector<Node>, LaterNode> open_;
  std::map<std::pair<const StageTable*, size_t>, std::vector<uint16_t>> paths_;
  ChainOutcome outcome_;
  double unresolved_ = kInfinity;  // the least bound of the nodes that could not be closed
};

std::vector<double> ChainSearch::least_cross() const {
  std::vector<double> least(costs_.positions(), 0);
  const size_t pairs = costs_.strategies() * costs_.strategies();
  for (size_t u = 1; u < costs_.positions(); ++u) {
    least[u] = *std::min_element(costs_.reshard_cross(u), costs_.reshard_cross(u) + pairs);
  }
  return least;
}

std::vector<const double*> ChainSearch::cross_tables(bool coarse) const {
  std::vector<const double*> tables;
  for (size_t u = 0; u < costs_.positions(); ++u) {
    tables.push_back(coarse ? &coarse_cross_[u] : costs_.reshard_cross(u));
  }
  return tables;
}

void ChainSearch::add_arcs(size_t stage, Kind kind, size_t first, size_t from, size_t end,
                           const std::vector<double>& value, const std::vector<double>& guard) {
  const size_t last = std::min({end, first + value.size(), first + guard.size()});
  for (size_t b = std::max(from, first); b < last; ++b) {
    StageArc arc;
    arc.first = static_cast<uint32_t>(first);
    arc.last = static_cast<uint32_t>(b);
    arc.kind = kind;
    arc.value = &value[b - first];
    arc.guard = &guard[b - first];
    coarse_.arcs()[stage].push_back(arc);
  }
}

// Every stage that may be part of a plan below the cutoff, by its scalar bound.
void ChainSearch::add_coarse_arcs(double most) {
  const size_t n = costs_.positions();
  const size_t stages = costs_.stages();
  const size_t hub = costs_.has_hub() ? costs_.hub() : n;
  coarse_rows_.resize(costs_.groups() * 3 * n);
  const auto row = [&](size_t group, Kind kind, size_t first) -> const std::vector<double>& {
    std::vector<double>& found = coarse_rows_[(group * 3 + static_cast<size_t>(kind)) * n + first];
    if (found.empty()) {
      const std::span<const double> fresh =
          tables_.coarse_row(group, kind, first, kind == Kind::kFollow ? kInfinity : most);
      found.assign(fresh.begin(), fresh.end());
    }
    return found;
  };
  for (size_t i = 0; i < stages; ++i) {
    const size_t group = costs_.group_of(i);
    const size_t last_start = i == 0 ? 0 : n - (stages - i);
    const size_t from = i + 1 == stages ? n - 1 : 0;
    const size_t end = n + 1 + i - stages;
    for (size_t a = i; a <= last_start; ++a) {
      if (hub == n || a > hub) {
        const std::vector<double>& plain = row(group, Kind::kPlain, a);
        add_arcs(i, Kind::kPlain, a, from, end, plain, plain);
        if (a <= hub) continue;
        add_arcs(i, Kind::kFollow, a, from, end, row(group, Kind::kFollow, a), plain);
      } else {
        const std::vector<double>& plain = row(group, Kind::kPlain, a);
        const std::vector<double>& inside = row(group, Kind::kHub, a);
        add_arcs(i, Kind::kPlain, a, from, std::min(end, hub), plain, plain);
        add_arcs(i, Kind::kHub, a, std::max(from, hub), end, inside, inside);
      }
    }
  }
}

// Drops arcs until nothing changes. Tightens the root. False: there is no plan below the cutoff.
bool ChainSearch::prune(StageProgram& program) {
  for (int round = 0; round < 6; ++round) {
    double sum = program.forward(high_);
    const double most = most_bottleneck(sum);
    if (sum == kInfinity || most < low_) return false;
    if (most < high_) {
      high_ = most;
      sum = program.forward(high_);
      if (sum == kInfinity) return false;
    }
    program.backward(high_);
    if (program.prune(high_, low_, weight_, cutoff()) == 0) return true;
  }
  return true;
}

std::vector<StageArc> ChainSearch::coarse_path() {
  // Of the best balance first: between the least bottleneck and the largest, the best bound.
  double low = low_;
  double high = high_ == kInfinity ? least_sum(costs_) * 2 + 1 : high_;
  if (coarse_.forward(high) == kInfinity) high = high_;
  for (int i = 0; i < 50 && low + 1 < high && high < kInfinity; ++i) {
    const double middle = std::floor((low + high) / 2);
    (coarse_.forward(middle) < kInfinity ? high : low) = middle;
  }
  // Nothing is possible at `low`.
  if (high < kInfinity && coarse_.forward(low) == kInfinity && low + 1 == high) low_ = high;
  double best = kInfinity;
  double best_threshold = high;
  for (const double slack : {1.0, 1.01, 1.02, 1.05, 1.1, 1.2, 1.5}) {
    const double threshold = std::min(std::floor(high * slack), high_);
    const double bound = coarse_.forward(threshold) + weight_ * threshold;
    if (bound < best) {
      best = bound;
      best_threshold = threshold;
    }
  }
  if (coarse_.forward(best_threshold) == kInfinity) return {};
  const std::vector<StageStep> steps = coarse_.path(best_threshold);
  std::vector<StageArc> path;
  for (size_t i = 0; i < steps.size(); ++i) path.push_back(coarse_.arcs()[i][steps[i].arc]);
  return path;
}

bool ChainSearch::near_path(size_t stage, const StageArc& arc,
                            const std::vector<StageArc>& path) const {
  const auto close = [](uint32_t a, uint32_t b) { return a <= b + 1 && b <= a + 1; };
  return close(arc.first, path[stage].first) && close(arc.last, path[stage].last);
}

void ChainSearch::build_tables(StageProgram& fine, size_t stage) {
  std::vector<StageArc>& arcs = fine.arcs()[stage];
  const size_t group = costs_.group_of(stage);
  for (size_t j = 0; j < arcs.size();) {
    const size_t from = j;
    std::vector<uint32_t> lasts;
    for (; j < arcs.size() && arcs[j].first == arcs[from].first && arcs[j].kind == arcs[from].kind;
         ++j) {
      lasts.push_back(arcs[j].last);
    }
    tables_.build(group, arcs[from].kind, arcs[from].first, lasts);
    if (arcs[from].kind == Kind::kFollow) {
      tables_.build(group, Kind::kPlain, arcs[from].first, lasts);
    }
  }
  for (StageArc& arc : arcs) {
    const StageTable& table = table_of(stage, arc);
    arc.rows = table.rows;
    arc.columns = table.columns;
    arc.value = arc.guard = table.bound.data();
    if (arc.kind == Kind::kFollow) {
      arc.guard = tables_.table(group, Kind::kPlain, arc.first, arc.last).bound.data();
    }
  }
}

// The arcs of the coarse program, or those near a path, with their tables.
StageProgram ChainSearch::fine_program(const std::vector<StageArc>* path) {
  StageProgram fine(costs_.positions(), costs_.stages(), costs_.strategies(), cross_tables(false));
  for (size_t i = 0; i < costs_.stages(); ++i) {
    const std::vector<StageArc>& arcs = coarse_.arcs()[i];
    std::vector<StageArc>& chosen = fine.arcs()[i];
    for (const StageArc& arc : arcs) {
      if (!path || near_path(i, arc, *path)) chosen.push_back(arc);
    }
    build_tables(fine, i);
  }
  return fine;
}

bool ChainSearch::is_exact(const StageProgram& program, const std::vector<StageStep>& steps) const {
  for (size_t i = 0; i < steps.size(); ++i) {
    const StageArc& arc = program.arcs()[i][steps[i].arc];
    const StageTable& table = const_cast<ChainSearch*>(this)->table_of(i, arc);
    if (!table.exact[steps[i].row * arc.columns + steps[i].column]) return false;
  }
  return true;
}

Assignment ChainSearch::plan_of(const StageProgram& program, const std::vector<StageStep>& steps) {
  Assignment plan;
  plan.stage.resize(in_.layers);
  plan.strategy.resize(in_.layers);
  for (size_t i = 0; i < steps.size(); ++i) {
    const StageArc& arc = program.arcs()[i][steps[i].arc];
    const size_t entry = steps[i].row * arc.columns + steps[i].column;
    const std::vector<uint16_t>& path = paths_.at({&table_of(i, arc), entry});
    for (size_t u = arc.first; u <= arc.last; ++u) {
      plan.stage[chain_.order[u]] = static_cast<uint32_t>(i);
      plan.strategy[chain_.order[u]] = path[u - arc.first];
    }
  }
  return plan;
}

bool ChainSearch::refine(StageProgram& program, const std::vector<StageStep>& steps, double sum,
                         const Node& node) {
  bool changed = false;
  for (size_t i = 0; i < steps.size(); ++i) {
    const StageArc& arc = program.arcs()[i][steps[i].arc];
    StageTable& table = table_of(i, arc);
    const size_t entry = steps[i].row * arc.columns + steps[i].column;
    if (table.exact[entry]) continue;
    PathQuery query;
    query.group = table.group;
    query.kind = table.kind;
    query.first = table.first;
    query.last = table.last;
    if (table.first > 0) query.first_strategy = static_cast<int>(steps[i].row);
    if (table.last + 1 < costs_.positions()) {
      query.last_strategy = static_cast<int>(steps[i].column);
    }
    const double before = table.bound[entry];
    query.cut = cutoff() - (sum - before) - weight_ * node.low;
    // A follower's value is its own time and part of the boundary's: each may be at the threshold.
    if (table.kind != Kind::kFollow) query.cut = std::min(query.cut, node.high + 1);
    PathAnswer answer = shortest_path(costs_, query);
    outcome_.labels += answer.labels;
    table.bound[entry] = std::max(before, answer.lower);
    if (answer.exact() && answer.lower < kInfinity) {
      table.exact[entry] = 1;
      paths_[{&table, entry}] = std::move(answer.path);
      changed = true;
    }
    changed = changed || table.bound[entry] > before;
  }
  return changed;
}

bool ChainSearch::refine_followers(const StageProgram& program, const std::vector<StageStep>& steps,
                                   const Node& node) {
  for (size_t i = 1; i < steps.size(); ++i) {
    const StageArc& arc = program.arcs()[i][steps[i].arc];
    if (arc.kind != Kind::kFollow) continue;
    StageTable& table = table_of(i, arc);
    const size_t entry = steps[i].row * arc.columns + steps[i].column;
    const double* const cross = costs_.reshard_cross(arc.first);
    double least = kInfinity;
    for (size_t k = 0; k < costs_.strategies(); ++k) {
      least = std::min(least, cross[k * costs_.strategies() + steps[i].row]);
    }
    PathQuery query;
    query.group = table.group;
    query.kind = table.kind;
    query.first = table.first;
    query.last = table.last;
    query.first_strategy = static_cast<int>(steps[i].row);
    if (table.last + 1 < costs_.positions()) {
      query.last_strategy = static_cast<int>(steps[i].column);
    }
    PathAnswer answer = shortest_follower(costs_, query, node.high, node.high - least);
    outcome_.labels += answer.labels;
    std::vector<uint16_t>& known = paths_[{&table, entry}];
    const bool changed = answer.lower > table.bound[entry] || answer.path != known;
    table.bound[entry] = std::max(table.bound[entry], answer.lower);
    if (!answer.exact()) return false;
    if (answer.lower < kInfinity) known = std::move(answer.path);
    return changed;
  }
  return false;
}

void ChainSearch::process(StageProgram& program, Node node, bool record) {
  for (;;) {
    ++outcome_.nodes;
    const double sum = program.forward(node.high);
    const double bound = sum + weight_ * node.low;
    if (bound >= cutoff()) return;
    node.bound = std::max(node.bound, bound);
    if (stopwatch_.expired()) {
      outcome_.complete = false;
      unresolved_ = std::min(unresolved_, node.bound);
      return;
    }
    const double most = most_bottleneck(sum);
    if (most < node.high) {
      node.high = most;
      continue;
    }
    const std::vector<StageStep> steps = program.path(node.high);
    if (!is_exact(program, steps)) {
      if (refine(program, steps, sum, node)) continue;
      unresolved_ = std::min(unresolved_, node.bound);
      outcome_.complete = false;
      return;
    }
    const Assignment plan = plan_of(program, steps);
    const Result<Cost> cost = cost_of(in_, plan);
    SOAPBOX_CHECK(cost.has_value(), "the chain search built a plan that breaks a constraint");
    offer(plan, cost->objective);
    const auto bottleneck = static_cast<double>(cost->bottleneck);
    if (bottleneck > node.high) {
      SOAPBOX_CHECK(costs_.has_hub(), "a plan above its threshold");
      if (record && refine_followers(program, steps, node)) continue;
      unresolved_ = std::min(unresolved_, node.bound);
      outcome_.complete = false;
      return;
    }
    node.high = bottleneck - 1;
    if (weight_ == 0) return;
    if (node.high < node.low) return;
    const double middle = std::floor((node.low + node.high) / 2);
    if (middle < node.high) {
      open_.push({middle + 1, node.high, sum + weight_ * (middle + 1)});
      node.high = middle;
    }
    open_.push(node);
    return;
  }
}

void ChainSearch::search(StageProgram& program, bool record) {
  open_ = std::priority_queue<Node, std::vector<Node>, LaterNode>(LaterNode{costs_.has_hub()});
  open_.push({low_, high_, 0});
  while (!open_.empty()) {
    const Node node = open_.top();
    open_.pop();
    if (node.bound >= cutoff()) continue;
    process(program, node, record);
  }
}

bool ChainSearch::start() {
  const double sum = least_sum(costs_);
  high_ = most_bottleneck(sum);
  if (sum == kInfinity || high_ < 0) return false;
  return stopwatch_.timed(best_.table_s, [this] {
    add_coarse_arcs(high_);
    return prune(coarse_);
  });
}

std::vector<uint8_t> ChainSearch::live() {
  std::vector<uint8_t> live(costs_.stages() * costs_.positions(), 0);
  if (!start()) return live;
  StageProgram fine = fine_program(nullptr);
  if (!prune(fine)) return live;
  for (size_t i = 0; i < costs_.stages(); ++i) {
    for (const StageArc& arc : fine.arcs()[i]) {
      std::fill_n(&live[i * costs_.positions() + arc.first], arc.last - arc.first + 1, 1);
    }
  }
  return live;
}

ChainOutcome ChainSearch::run() {
  if (const auto plan = start_plan(in_, chain_, costs_, {tables_.lambdas(0)})) {
    offer(*plan, cost_of(in_, *plan)->objective);
  }
  const auto nothing_below = [this] {
    outcome_.bound = best_.objective;
    return std::move(outcome_);
  };
  if (!start()) return nothing_below();
  const std::vector<StageArc> path = coarse_path();
  if (path.empty()) return nothing_below();
  StageProgram near = stopwatch_.timed(best_.table_s, [&] { return fine_program(&path); });
  search(near, false);
  unresolved_ = kInfinity;
  outcome_.complete = true;
  if (!prune(coarse_)) return nothing_below();
  if (stopwatch_.expired()) {
    outcome_.complete = false;
    outcome_.bound = units(std::min(coarse_.forward(high_) + weight_ * low_, cutoff()));
    return std::move(outcome_);
  }
  StageProgram fine = stopwatch_.timed(best_.table_s, [this] { return fine_program(nullptr); });
  if (!prune(fine)) return nothing_below();
  search(fine, true);
  outcome_.bound = units(std::min(unresolved_, cutoff()));
  return std::move(outcome_);
}

}  // namespace

ChainOutcome search_chain(const Instance& instance, const Chain& chain, const StageCosts& costs,
                          const Stopwatch& stopwatch, ChainIncumbent& best) {
  return ChainSearch(instance, chain, costs, stopwatch, best).run();
}

std::vector<uint8_t> live_stages(const Instance& instance, const Chain& chain,
                                 const StageCosts& costs, const Stopwatch& stopwatch,
                                 int64_t cutoff) {
  ChainIncumbent best;
  best.objective = cutoff;
  return ChainSearch(instance, chain, costs, stopwatch, best).live();
}

}  // namespace soapbox::miqp
