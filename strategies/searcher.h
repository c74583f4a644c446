// A searcher: from a problem, a budget, settings and a seed to the best plan found.
//
// Contract: the searcher judges plans only through an Evaluator; it stops when that has counted
// budget.evaluations simulations (it may stop earlier and says why); it takes all randomness from
// Philox streams of `seed`; same problem, budget, settings and seed give the same answer. Budgets
// count evaluations, never seconds. The answer fits the memory; where no plan that was seen does,
// the error says what the nearest one lacks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
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

// Settings that change what a searcher does, and so belong to a run's identity. A searcher refuses
// settings that it does not have.
struct SearchSettings {
  // MCMC: acceptance probability exp(-beta * (new - current) / current); larger is greedier.
  double beta = 0;  // 0: the searcher's default
  // A proposal distribution of proposal_table(); empty: the default.
  std::string proposals;
  // What the search starts from, in order: recipes, or "random"; empty: the searcher's default.
  std::vector<std::string> starts;
  // How every plan of the search combines gradients.
  SyncMode sync = SyncMode::kOverlapped;
  // How changes are evaluated: never what comes out, only how fast.
  SimulationMode simulation = SimulationMode::kDelta;
};
inline constexpr std::string_view kRandomStart = "random";

// Called at each evaluation's end with (evaluations done, best time, of plans that fit); false asks
// for a clean early stop.
using Progress = std::function<bool(uint64_t, std::optional<Duration>)>;

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
