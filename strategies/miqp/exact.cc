#include "strategies/miqp/exact.h"

#include <algorithm>

#include "strategies/miqp/chain_search.h"
#include "strategies/miqp/explain.h"
#include "strategies/miqp/frontier_search.h"
#include "strategies/miqp/hybrid_search.h"

namespace soapbox::miqp {
namespace {

// Of the linear program, where all else has given up.
constexpr double kMilpLimit_s = 60;

// What a finished or stopped search amounts to.
Solution conclude(const Instance& in, const SolveOptions& options, ChainIncumbent best,
                  ChainOutcome outcome) {
  Solution solution;
  solution.plan = std::move(best.plan);
  solution.bound = outcome.bound;
  solution.labels = outcome.labels;
  solution.nodes = outcome.nodes;
  solution.table_cpu_s = best.table_s;
  solution.search_cpu_s = best.found_s;
  solution.cpu_s = best.other_cpu_s;
  if (solution.plan) solution.objective = best.objective;
  if (!outcome.complete && outcome.bound < best.objective) {
    solution.status = SolveStatus::kLimit;
  } else if (solution.plan) {
    solution.status = SolveStatus::kOptimal;
    solution.bound = solution.objective;
  } else if (options.cutoff != kNoObjective) {
    solution.status = SolveStatus::kCutOff;
    solution.bound = options.cutoff;
  } else {
    solution.status = SolveStatus::kInfeasible;
    solution.bound = kNoObjective;
    solution.reason = explain_infeasible(in);
  }
  return solution;
}

// One search for each strategy of the hub, which turns what its readers pay
// into costs of their own (conditioning). All share the best plan.
ChainOutcome search_hub(const Instance& in, const Chain& chain, size_t hub,
                        const Stopwatch& stopwatch, ChainIncumbent& best) {
  ChainOutcome total;
  total.bound = kNoObjective;
  for (size_t k = 0; k < in.strategies; ++k) {
    if (!in.allowed(chain.order[hub], k)) continue;
    StageCosts costs(in, chain);
    costs.condition(in, chain, hub, k);
    const ChainOutcome outcome = search_chain(in, chain, costs, stopwatch, best);
    total.bound = std::min(total.bound, outcome.bound);
    total.complete = total.complete && outcome.complete;
    total.labels += outcome.labels;
    total.nodes += outcome.nodes;
  }
  total.bound = std::min(total.bound, best.objective);
  return total;
}

// Any graph. Where the layers have one order, the chain without the edges that
// skip layers costs no more: its optimum is a bound, and its plan, with those
// edges charged, a start.
ChainOutcome search_general(const Instance& in, const SolveOptions& options, const Chain& chain,
                            const Stopwatch& stopwatch, ChainIncumbent& best) {
  int64_t bound = 0;
  if (chain.is_path && !in.empty_stages && !chain.skips.empty()) {
    const StageCosts costs(in, chain);
    Instance relaxed = in;
    relaxed.edges.clear();
    relaxed.reshard.clear();
    relaxed.reshard_cross.clear();
    const size_t pairs = in.strategies * in.strategies;
    std::vector<bool> skips(in.edges.size(), false);
    for (const SkipEdge& skip : chain.skips) skips[skip.edge] = true;
    for (size_t e = 0; e < in.edges.size(); ++e) {
      if (skips[e]) continue;
      relaxed.edges.push_back(in.edges[e]);
      const auto at = static_cast<std::ptrdiff_t>(e * pairs);
      const auto end = at + static_cast<std::ptrdiff_t>(pairs);
      relaxed.reshard.insert(relaxed.reshard.end(), in.reshard.begin() + at,
                             in.reshard.begin() + end);
      relaxed.reshard_cross.insert(relaxed.reshard_cross.end(), in.reshard_cross.begin() + at,
                                   in.reshard_cross.begin() + end);
    }
    ChainIncumbent relaxed_best;
    bound = search_chain(relaxed, make_chain(relaxed), costs, stopwatch, relaxed_best).bound;
    best.table_s += relaxed_best.table_s;
    if (relaxed_best.plan) {
      const Result<Cost> cost = cost_of(in, *relaxed_best.plan);
      if (cost && cost->objective < best.objective) {
        best.take(*std::move(relaxed_best.plan), cost->objective, stopwatch);
      }
    }
  }
  ChainOutcome outcome;
  if (bound < best.objective && in.stages <= 64) {
    outcome = search_frontier(in, chain, stopwatch.part(0.5), best);
    bound = std::max(bound, outcome.bound);
  }
  if (bound < best.objective && default_milp_backend() != nullptr && !stopwatch.expired()) {
    SolveOptions milp = options;
    milp.time_limit_s = std::min(stopwatch.left_s(), kMilpLimit_s);
    bound = std::max(bound, search_hybrid(in, chain, stopwatch, milp, best));
  }
  outcome.bound = std::min(bound, best.objective);
  outcome.complete = outcome.bound >= best.objective;
  return outcome;
}

}  // namespace

Solution solve_exact(const Instance& in, const SolveOptions& options) {
  const Stopwatch stopwatch(options.time_limit_s, options.stop);
  const Chain chain = make_chain(in);
  const std::optional<size_t> hub = only_hub(in, chain);
  Solution solution;
  ChainIncumbent best;
  best.objective = options.cutoff;
  if (in.stages > in.layers && !in.empty_stages) {
    solution = conclude(in, options, best, {});
  } else if (chain.is_path && chain.skips.empty() && !in.empty_stages) {
    const StageCosts costs(in, chain);
    ChainOutcome outcome = search_chain(in, chain, costs, stopwatch, best);
    solution = conclude(in, options, std::move(best), std::move(outcome));
  } else if (chain.is_path && !in.empty_stages && hub) {
    ChainOutcome outcome = search_hub(in, chain, *hub, stopwatch, best);
    if (!outcome.complete && in.stages <= 64 && !stopwatch.expired()) {
      // Thresholds on both a stage and its boundary may leave a node open:
      // settle it by labels.
      const int64_t bound = outcome.bound;
      outcome = search_frontier(in, chain, stopwatch, best);
      outcome.bound = std::max(outcome.bound, std::min(bound, best.objective));
      outcome.complete = outcome.bound >= best.objective;
    }
    solution = conclude(in, options, std::move(best), std::move(outcome));
  } else {
    ChainOutcome outcome = search_general(in, options, chain, stopwatch, best);
    solution = conclude(in, options, std::move(best), std::move(outcome));
  }
  solution.solver = "exact";
  solution.cpu_s += stopwatch.elapsed_s();
  // What was found right away took no search; nothing found is all proof.
  solution.proof_cpu_s =
      std::max(0.0, solution.cpu_s - solution.table_cpu_s - solution.search_cpu_s);
  return solution;
}

}  // namespace soapbox::miqp
