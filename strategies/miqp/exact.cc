#include "strategies/miqp/exact.h"

#include "strategies/miqp/brute.h"
#include "strategies/miqp/chain_search.h"
#include "strategies/miqp/explain.h"

namespace soapbox::miqp {
namespace {

// What a finished or stopped search amounts to.
Solution conclude(const Instance& in, const SolveOptions& options, ChainIncumbent best,
                  ChainOutcome outcome) {
  Solution solution;
  solution.plan = std::move(best.plan);
  solution.bound = outcome.bound;
  solution.labels = outcome.labels;
  solution.nodes = outcome.nodes;
  solution.leaves = std::move(outcome.leaves);
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

}  // namespace

Solution solve_exact(const Instance& in, const SolveOptions& options) {
  const Stopwatch stopwatch(options.time_limit_s);
  const Chain chain = make_chain(in);
  Solution solution;
  ChainIncumbent best;
  best.objective = options.cutoff;
  if (in.stages > in.layers && !in.empty_stages) {
    solution = conclude(in, options, best, {});
  } else if (chain.is_path && chain.skips.empty() && !in.empty_stages) {
    const StageCosts costs(in, chain);
    ChainOutcome outcome = search_chain(in, chain, costs, stopwatch, best);
    solution = conclude(in, options, std::move(best), std::move(outcome));
  } else {
    solution = solve_brute(in, options);
  }
  solution.solver = "exact";
  solution.cpu_s = stopwatch.elapsed_s();
  return solution;
}

}  // namespace soapbox::miqp
