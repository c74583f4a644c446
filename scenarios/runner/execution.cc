#include "scenarios/runner/execution.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>

#include "scenarios/runner/code_fingerprint.h"
#include "scenarios/runner/commands.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

Result<strategies::SearchOutcome> run_searcher(const Problem& problem, const MethodSpec& method,
                                               uint64_t seed,
                                               const strategies::Progress& progress) {
  const Result<const strategies::SearcherRow*> searcher = strategies::find_searcher(method.name);
  if (!searcher) return searcher.error();
  strategies::SearchRequest request{.problem = problem,
                                    .budget = {method.budget},
                                    .seed = seed,
                                    .settings = method.settings,
                                    .progress = progress};
  return (*searcher)->search(request);
}

class Stopwatch {
 public:
  const std::string& started_at() const { return started_at_; }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::string started_at_ = utc_now();
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Checks and simulates the plan, knowing nothing of what found it.
Status judge(const Problem& problem, Execution& execution) {
  Status valid = check_plan(problem.model.graph, problem.cluster, execution.plan);
  if (!valid) return valid;
  Run run = simulate(problem, execution.plan, MemoryCheck::kRegardless);
  execution.report = std::get<Report>(std::move(run.outcome));
  const auto reason = out_of_memory(problem.cluster, problem.options.reserved, run.peaks);
  if (reason) execution.infeasible = describe(problem.cluster, *reason);
  return ok();
}

// What a stored run says of its method, besides budget and seed: sorted keys, no spaces.
std::string canonical_settings(const MethodSpec& method) {
  nlohmann::json settings = nlohmann::json::object();
  settings["sync"] = to_string(method.settings.sync);
  if (method.kind == MethodSpec::Kind::kSearcher) {
    if (method.settings.beta != 0) settings["beta"] = method.settings.beta;
    if (!method.settings.proposals.empty()) settings["proposals"] = method.settings.proposals;
    if (!method.settings.starts.empty()) settings["starts"] = method.settings.starts;
  }
  return settings.dump();
}

}  // namespace

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  gmtime_r(&now, &parts);
  std::array<char, 32> text = {};
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text.data(), length);
}

std::string host_name() {
  std::array<char, 256> name = {};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

Result<Plan> make_recipe(const Problem& problem, std::string_view name, SyncMode sync) {
  const Result<const strategies::RecipeRow*> recipe = strategies::find_recipe(name);
  if (!recipe) return recipe.error();
  Result<Plan> plan = (*recipe)->make(problem.model, problem.cluster);
  if (plan) plan->sync = sync;
  return plan;
}

Result<Execution> execute_plan(const LoadedProblem& loaded, Plan plan) {
  const Stopwatch stopwatch;
  Execution execution;
  execution.plan = std::move(plan);
  const Status judged = judge(loaded.problem(), execution);
  if (!judged) return judged.error();
  execution.search.best_time = execution.report.iteration_time;
  execution.search.evaluations = 1;
  execution.search.best_at_evaluation = 1;
  execution.search.improvements = {{1, execution.report.iteration_time, 0}};
  execution.search.stop_reason = "fixed plan";
  execution.search.cpu_s = 0;
  execution.started_at = stopwatch.started_at();
  execution.wall_s = stopwatch.seconds();
  return execution;
}

Result<Execution> execute(const LoadedProblem& loaded, const MethodSpec& method, uint64_t seed,
                          const strategies::Progress& progress) {
  const Problem& problem = loaded.problem();
  if (method.kind == MethodSpec::Kind::kRecipe) {
    Result<Plan> plan = make_recipe(problem, method.name, method.settings.sync);
    if (!plan) return plan.error();
    Result<Execution> execution = execute_plan(loaded, *std::move(plan));
    if (execution && !execution->infeasible.empty()) {
      return Error{ErrorCode::kInfeasible, std::move(execution->infeasible), {}};
    }
    return execution;
  }
  const Stopwatch stopwatch;
  Execution execution;
  const strategies::Progress watched = [&](uint64_t evaluations, std::optional<Duration> best) {
    const bool go_on = !progress || progress(evaluations, best);
    execution.interrupted = execution.interrupted || !go_on;
    return go_on;
  };
  Result<strategies::SearchOutcome> search = run_searcher(problem, method, seed, watched);
  if (!search) return search.error();
  execution.search = *std::move(search);
  execution.plan = execution.search.best;
  const Status judged = judge(problem, execution);
  if (!judged) return judged.error();
  SOAPBOX_CHECK(execution.report.iteration_time == execution.search.best_time,
                "the searcher's time is not the simulator's");
  SOAPBOX_CHECK(execution.infeasible.empty(), "the searcher's plan does not fit");
  execution.started_at = stopwatch.started_at();
  execution.wall_s = stopwatch.seconds();
  return execution;
}

double time_one_evaluation(const LoadedProblem& loaded) {
  const Result<Plan> plan = make_recipe(loaded.problem(), "data_parallel", SyncMode::kOverlapped);
  if (!plan) return 0;
  double seconds = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat < 3; ++repeat) {  // the least: other programs only add to it
    const Result<Execution> execution = execute_plan(loaded, *plan);
    if (!execution) return 0;
    seconds = std::min(seconds, execution->wall_s);
  }
  return seconds;
}

results::RunKey run_key(const LoadedProblem& loaded, const MethodSpec& method, uint64_t seed) {
  const bool searches = method.kind == MethodSpec::Kind::kSearcher;
  return {.instance = {.model = loaded.model().name,
                       .cluster = loaded.cluster().name(),
                       .devices = static_cast<int64_t>(loaded.cluster().device_count()),
                       .batch = loaded.model().batch,
                       .network = to_string(loaded.problem().options),
                       .costs = loaded.fingerprint()},
          .method = {method.name, canonical_settings(method)},
          .seed = searches ? seed : 0,
          .budget = searches ? method.budget : 0,
          .code = code_fingerprint()};
}

results::RunRow run_row(const LoadedProblem& loaded, results::RunKey key,
                        const Execution& execution, const std::string& command_line) {
  results::RunRow row;
  row.key = std::move(key);
  row.status = results::RunStatus::kOk;
  row.best = {.iteration_time = execution.report.iteration_time,
              .samples_per_s = execution.report.samples_per_s,
              .communication = execution.report.communication,
              .trace_hash = execution.report.trace_hash};
  row.evaluations = execution.search.evaluations;
  row.best_at_evaluation = execution.search.best_at_evaluation;
  row.cpu_s = execution.search.cpu_s;
  row.wall_s = execution.wall_s;
  row.started_at = execution.started_at;
  row.command = command_line;
  row.version = kVersion;
  row.host = host_name();
  row.provenance = execution.report.provenance;
  row.note = execution.search.stop_reason;
  for (const strategies::Improvement& step : execution.search.improvements) {
    row.improvements.push_back({step.evaluation, step.iteration_time, step.cpu_s});
  }
  row.plan = plan_to_json(loaded.model(), loaded.cluster(), execution.plan);
  return row;
}

}  // namespace soapbox::runner
