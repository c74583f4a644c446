// soapbox search: one searcher, or one planner, on one problem.
#include <algorithm>
#include <limits>

#include "results/store.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/execution.h"
#include "scenarios/runner/interrupt.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/planning/planner_search.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/progress.h"
#include "scenarios/runner/run_record.h"
#include "sim/base/find_row.h"
#include "sim/base/str.h"
#include "strategies/uniap/planners.h"

namespace soapbox::runner {
namespace {

struct SearchOptions {
  ProblemSpec problem;
  MethodSpec method;
  uint64_t seed = 0;
  results::Format format = results::Format::kTable;
};

// Of searchers and planners alike.
Error unknown_method(const std::string& name) {
  const auto known =
      sorted_row_names(strategies::searcher_table(), strategies::uniap::planner_table());
  return usage_error(str_cat("search: ", unknown_name("--method", name, known)));
}

Result<SearchOptions> read_options(const Arguments& arguments) {
  SearchOptions options;
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  options.format = *format;
  const Result<ProblemSpec> problem = read_problem_options(arguments);
  if (!problem) return problem.error();
  options.problem = *problem;
  const Result<std::string> method = arguments.required("method");
  if (!method) return method.error();
  if (!strategies::find_searcher(*method)) return unknown_method(*method);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const auto budget = arguments.whole_number("budget", 1, kMost);
  if (!budget) return budget.error();
  const auto seed = arguments.whole_number("seed", 0, kMost);
  if (!seed) return seed.error();
  const Result<std::optional<SyncMode>> sync = read_sync(arguments);
  if (!sync) return sync.error();
  options.seed = static_cast<uint64_t>(seed->value_or(0));
  options.method = {.kind = MethodSpec::Kind::kSearcher,
                    .name = *method,
                    .budget = static_cast<uint64_t>(budget->value_or(1000)),
                    .settings = {}};
  options.method.settings.sync = sync->value_or(SyncMode::kOverlapped);
  const Result<SimulationMode> simulation =
      arguments.parsed("simulation", "delta", parse_simulation_mode);
  if (!simulation) return simulation.error();
  options.method.settings.simulation = *simulation;
  return options;
}

// Opened before the search, so that an unusable database is refused before the work.
Result<std::optional<results::Store>> open_store(const Arguments& arguments) {
  const std::optional<std::string> path = arguments.text("db");
  if (!path) return std::optional<results::Store>();
  Result<results::Store> store = results::Store::open(*path);
  if (!store) return store.error();
  return std::optional<results::Store>(*std::move(store));
}

// Stores the run, and says what became of it.
Status store_run(results::Store& store, const results::RunRow& row, const Console& console) {
  const Result<results::PutOutcome> outcome = store.put(row);
  if (!outcome) return outcome.error();
  if (*outcome == results::PutOutcome::kDiffers) {
    return Error{ErrorCode::kDatabase, "the database has another result of the same run", {}};
  }
  const bool was_there = *outcome == results::PutOutcome::kKept;
  console.say(str_cat("run ", results::identity(row.key), was_there ? " was stored" : " stored"));
  return ok();
}

Result<CommandResult> run_planner(const Arguments& arguments, const Console& console) {
  Result<std::optional<results::Store>> store = open_store(arguments);
  if (!store) return store.error();
  Result<PlannerCommandResult> command = run_planner_search(arguments, console);
  if (!command) return command.error();
  if (*store && command->row) {
    const Status stored = store_run(**store, *command->row, console);
    if (!stored) return stored.error();
  }
  return std::move(command->result);
}

Result<CommandResult> run(const Arguments& arguments, const Console& console) {
  if (strategies::uniap::is_planner(arguments.text_or("method", ""))) {
    return run_planner(arguments, console);
  }
  for (const Option& option : planner_options()) {
    if (arguments.has(option.name)) {
      return usage_error(str_cat("--", option.name,
                                 " is for planners: alpa, galvatron, inter_only, "
                                 "intra_only, megatron, miqp"));
    }
  }
  const Result<SearchOptions> options = read_options(arguments);
  if (!options) return options.error();
  if (arguments.has("seq-len") && arguments.has("db")) {
    return usage_error(
        "search: --seq-len and --db exclude each other: a stored run is of a model as it is");
  }
  const auto loaded = load_problem(options->problem, console);
  if (!loaded) return loaded.error();
  Result<std::optional<results::Store>> store = open_store(arguments);
  if (!store) return store.error();
  const Interrupt interrupt;
  Progress progress(console, options->method.budget);
  const Result<Execution> execution =
      execute(**loaded, options->method, options->seed,
              [&](uint64_t evaluations, std::optional<Duration> best) {
                progress.at(evaluations, best ? str_cat("best ", best->seconds() * 1e3, " ms")
                                              : "no plan fits the memory so far");
                return !interrupt.requested();
              });
  progress.clear();
  if (!execution) return execution.error();
  if (const std::optional<std::string> path = arguments.text("out")) {
    const Status written =
        write_file(*path, plan_to_json((*loaded)->model(), (*loaded)->cluster(), execution->plan));
    if (!written) return written.error();
  }
  CommandResult result{
      search_record(**loaded, options->method, options->seed, *execution).render(options->format)};
  if (execution->interrupted) {
    console.say("soapbox: interrupted; this is the best plan so far, and it is not stored");
    result.exit_code = ExitCode::kInterrupted;
    return result;
  }
  if (*store) {
    const Status stored =
        store_run(**store,
                  run_row(**loaded, run_key(**loaded, options->method, options->seed), *execution,
                          console.command_line),
                  console);
    if (!stored) return stored.error();
  }
  return result;
}

}  // namespace

CommandRow search_command() {
  Syntax syntax{.command = "search", .options = problem_options()};
  syntax.options.insert(
      syntax.options.end(),
      {{"method", "NAME", "the searcher; see 'soapbox list methods'"},
       {"budget", "N", "plans to simulate (default 1000)"},
       {"seed", "S", "of all randomness (default 0)"},
       {"seq-len", "N", "tokens of a sample of a Transformer (default: the model's own)"},
       sync_option(),
       {"simulation", "MODE", "how proposals are evaluated: delta (default) or full; same results"},
       {"db", "FILE", "store the run in this database; made if absent"},
       {"out", "FILE", "write the best plan as JSON"},
       format_option()});
  const std::vector<Option> planners = planner_options();
  syntax.options.insert(syntax.options.end(), planners.begin(), planners.end());
  syntax.details =
      "Searchers propose plans of single operators and simulate each. Planners (alpa, galvatron, "
      "inter_only, intra_only, megatron, miqp) cut a Transformer into pipeline stages and choose "
      "tensor, data and sharded parallelism for every layer, from tables of costs.\n\n"
      "Switches of --set: gradient_sync=once|inside, transfers=communication_stage|compute_stage, "
      "backward=profiled|twice_forward, memory=gpipe|1f1b, overlap=slowed|none, "
      "gathers=prefetched|exposed, compute_slowdown=F, traffic_slowdown=F, "
      "activation_factor=F (what layers keep takes F times its bytes).";
  return {"search", "Searches for the fastest plan.", std::move(syntax), run};
}

}  // namespace soapbox::runner
