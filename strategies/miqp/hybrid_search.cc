#include "strategies/miqp/hybrid_search.h"

#include <algorithm>

namespace soapbox::miqp {
namespace {

// What a backend's numbers are good to.
constexpr double kTolerance = 1e-6;
// More and no backend gets through its first relaxation in time.
constexpr size_t kMostPairs = 400000;

int64_t least_compute(const Instance& in, size_t layer) {
  int64_t least = kNotAllowed;
  for (size_t k = 0; k < in.strategies; ++k) {
    if (in.allowed(layer, k)) least = std::min(least, in.compute_at(layer, k));
  }
  return least;
}

// Columns of the network-flow form: pairs of choices over all edges.
size_t count_pairs(const Instance& in, const MilpPruning& pruning) {
  std::vector<size_t> choices(in.layers, in.stages * in.strategies);
  if (!pruning.alive.empty()) {
    const size_t each = in.stages * in.strategies;
    for (size_t u = 0; u < in.layers; ++u) {
      const auto from = pruning.alive.begin() + static_cast<std::ptrdiff_t>(u * each);
      choices[u] = static_cast<size_t>(
          std::count(from, from + static_cast<std::ptrdiff_t>(each), uint8_t{1}));
    }
  }
  size_t pairs = 0;
  for (const Edge edge : in.edges) pairs += choices[edge.from] * choices[edge.to];
  return pairs;
}

}  // namespace

MilpPruning prune_milp(const Instance& in, const Chain& chain, const Stopwatch& stopwatch,
                       int64_t best) {
  MilpPruning pruning;
  if (best == kNoObjective) return pruning;
  pruning.cutoff = best;
  int64_t sum = 0;
  std::vector<int64_t> least;
  for (size_t u = 0; u < in.layers; ++u) {
    least.push_back(least_compute(in, u));
    if (least.back() == kNotAllowed) return pruning;
    sum += least.back();
  }
  if (in.microbatches > 1) {
    pruning.most_bottleneck = std::max<int64_t>(0, best - 1 - sum) / (in.microbatches - 1);
  }
  std::vector<uint8_t> on_stage(in.stages * in.layers, 1);  // [stage][position]
  if (chain.is_path && !in.empty_stages) {
    on_stage = live_stages(in, chain, StageCosts(in, chain), stopwatch, best);
  }
  const auto stages = static_cast<int64_t>(in.stages);
  pruning.alive.assign(in.layers * in.stages * in.strategies, 0);
  for (size_t t = 0; t < in.layers; ++t) {
    const size_t u = chain.order[t];
    for (size_t k = 0; k < in.strategies; ++k) {
      if (!in.allowed(u, k)) continue;
      const int64_t with = sum - least[u] + in.compute_at(u, k);
      if (with + (in.microbatches - 1) * ((with + stages - 1) / stages) >= best) continue;
      for (size_t i = 0; i < in.stages; ++i) {
        pruning.alive[(u * in.stages + i) * in.strategies + k] = on_stage[i * in.layers + t];
      }
    }
  }
  return pruning;
}

int64_t search_hybrid(const Instance& in, const Chain& chain, const Stopwatch& stopwatch,
                      const SolveOptions& options, ChainIncumbent& best) {
  const MilpPruning pruning = prune_milp(in, chain, stopwatch, best.objective);
  if (count_pairs(in, pruning) > kMostPairs) return 0;
  const double start_s = stopwatch.elapsed_s();
  const Solution solution = solve_milp_form(in, options, MilpForm::kFlow, pruning);
  const double other_cpu_s = std::max(0.0, solution.cpu_s - (stopwatch.elapsed_s() - start_s));
  best.other_cpu_s += other_cpu_s;
  if (solution.plan && solution.objective < best.objective) {
    best.take(*solution.plan, solution.objective, stopwatch);
    best.found_s += other_cpu_s;
  }
  // No plan is left: the best one is the optimum, as far as the backend can tell.
  const int64_t bound = std::min(
      solution.status == SolveStatus::kInfeasible ? kNoObjective : solution.bound, best.objective);
  if (bound == kNoObjective) return 0;
  return static_cast<int64_t>(static_cast<double>(bound) * (1 - kTolerance));
}

}  // namespace soapbox::miqp
