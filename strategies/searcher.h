// What a searcher is: a function from a problem, an evaluator, a budget and a seed to the best plan found.
//
// Contract: the searcher judges plans only through the evaluator; it stops when the evaluator has counted
// budget.evaluations simulations (it may stop earlier and says why); it takes all randomness from `rng`;
// same problem, budget and seed give the same answer. Budgets count evaluations, never seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/rng.h"
#include "sim/plan/plan.h"
#include "sim/simulate/evaluator.h"

namespace soapbox::strategies {

struct Budget {
  uint64_t evaluations = 1000;
};

// One step of the best-so-far curve.
struct Improvement {
  uint64_t evaluation = 0;  // 1-based: the evaluation that found it
  Duration iteration_time;
  double cpu_s = 0;  // of the searching thread, since the search began; not part of any identity
};

struct SearchOutcome {
  Plan best;
  Duration best_time;
  uint64_t evaluations = 0;
  uint64_t best_at_evaluation = 0;
  std::vector<Improvement> improvements;  // strictly decreasing times
  std::string stop_reason;                // "budget", "no improvement for half of the search", ...
  double cpu_s = 0;
};

// Settings that change what a searcher does, and so belong to a run's identity.
struct SearchSettings {
  // MCMC: acceptance probability exp(-beta * (new - current) / current); larger is greedier.
  double beta = 0;  // 0: the searcher's default
};

// Called at each evaluation's end with (evaluations done, best time); false asks for a clean early stop.
using Progress = std::function<bool(uint64_t, Duration)>;

struct SearchRequest {
  const Problem& problem;
  Budget budget;
  uint64_t seed = 0;
  SearchSettings settings;
  Progress progress;
};

struct SearcherRow {
  std::string_view name;
  std::string_view summary;
  Result<SearchOutcome> (*search)(const SearchRequest& request);
};

std::span<const SearcherRow> searcher_table();  // sorted by name
Result<const SearcherRow*> find_searcher(std::string_view name);

// A fixed recipe: a plan by rule, no search.
struct RecipeRow {
  std::string_view name;
  std::string_view summary;
  Result<Plan> (*make)(const Model& model, const Cluster& cluster);
};

std::span<const RecipeRow> recipe_table();  // sorted by name
Result<const RecipeRow*> find_recipe(std::string_view name);

}  // namespace soapbox::strategies
