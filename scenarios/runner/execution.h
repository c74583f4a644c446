// One run: a recipe or a searcher on one problem, with everything that is printed and stored of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "results/rows.h"
#include "scenarios/runner/problem.h"
#include "sim/base/result.h"
#include "sim/simulate/outcome.h"
#include "strategies/searcher.h"

namespace soapbox::runner {

struct MethodSpec {
  enum class Kind : uint8_t { kRecipe, kSearcher };
  Kind kind = Kind::kRecipe;
  std::string name;                          // of the recipe or the searcher
  uint64_t budget = 0;                       // evaluations; 0 for a recipe
  strategies::SearchSettings settings = {};  // of which a recipe has only `sync`
};

struct Execution {
  Plan plan;
  Report report;                     // of that plan, simulated again after the search
  std::string infeasible;            // why it does not fit the memory; empty where it fits
  strategies::SearchOutcome search;  // for a recipe: one evaluation
  double wall_s = 0;
  bool interrupted = false;
  std::string started_at;  // ISO 8601, UTC
};

// Runs it. `progress` as in searcher.h; once it has returned false the result counts as
// interrupted. A plan that does not fit the memory is an error.
Result<Execution> execute(const LoadedProblem& loaded, const MethodSpec& method, uint64_t seed,
                          const strategies::Progress& progress);
// A plan that is there already, as a search of one evaluation; also one that does not fit.
Result<Execution> execute_plan(const LoadedProblem& loaded, Plan plan);
// The plan of a recipe.
Result<Plan> make_recipe(const Problem& problem, std::string_view name, SyncMode sync);

// What decides the result of execute(), as the database identifies it.
results::RunKey run_key(const LoadedProblem& loaded, const MethodSpec& method, uint64_t seed);
results::RunRow run_row(const LoadedProblem& loaded, results::RunKey key,
                        const Execution& execution, const std::string& command_line);

// Wall seconds of one evaluation of data parallelism, on this machine now.
double time_one_evaluation(const LoadedProblem& loaded);

std::string utc_now();  // ISO 8601
std::string host_name();

}  // namespace soapbox::runner
