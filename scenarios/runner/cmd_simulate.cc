// soapbox simulate: one plan, from a recipe or a file, simulated.
#include <algorithm>

#include "scenarios/runner/chrome_trace.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/execution.h"
#include "scenarios/runner/graphviz.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/parallel_options.h"
#include "scenarios/runner/parallel_simulation.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/run_record.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/find_row.h"
#include "sim/base/str.h"
#include "sim/plan/parallel_plan_json.h"
#include "strategies/searcher.h"

namespace soapbox::runner {
namespace {

std::string recipe_name(const Arguments& arguments) {
  return arguments.text_or("recipe", "data_parallel");
}

Result<Plan> choose_plan(const LoadedProblem& loaded, const Arguments& arguments,
                         const std::optional<PlanFile>& file, std::optional<SyncMode> sync) {
  if (!file) {
    return make_recipe(loaded.problem(), recipe_name(arguments),
                       sync.value_or(SyncMode::kOverlapped));
  }
  Result<Plan> plan = plan_from_json(file->text, file->path, loaded.model(), loaded.cluster());
  if (plan && sync) plan->sync = *sync;
  return plan;
}

Status write_files(const LoadedProblem& loaded, const Plan& plan, const Arguments& arguments) {
  if (const std::optional<std::string> path = arguments.text("out")) {
    Status written = write_file(*path, plan_to_json(loaded.model(), loaded.cluster(), plan));
    if (!written) return written;
  }
  if (const std::optional<std::string> path = arguments.text("trace")) {
    const Run run = simulate(loaded.problem(), plan, MemoryCheck::kRegardless);
    Status written = write_file(*path, chrome_trace(loaded.problem(), run));
    if (!written) return written.error();
  }
  if (const std::optional<std::string> path = arguments.text("graphviz")) {
    return write_file(*path, graphviz(loaded.model(), loaded.cluster(), plan));
  }
  return ok();
}

// Options of plans for Transformers mean nothing where operators are placed.
Status refuse_parallel_options(const Arguments& arguments) {
  for (const Option& option : parallel_options()) {
    if (!arguments.has(option.name) || option.name == "seq-len") continue;
    return usage_error(
        str_cat("simulate: --", option.name,
                " needs --recipe megatron, fsdp or deepspeed_zero, or a plan of layers"));
  }
  return ok();
}

// --plan, read once: a pipe gives its bytes only once.
Result<std::optional<PlanFile>> read_plan_file(const Arguments& arguments) {
  const std::optional<std::string> path = arguments.text("plan");
  if (!path) return std::optional<PlanFile>();
  Result<std::string> text = read_text_file(*path);
  if (!text) return text.error();
  return std::optional(PlanFile{*path, *std::move(text)});
}

// Whether the plan lays layers over ranks: its file or its recipe says so.
Result<bool> is_parallel(const Arguments& arguments, const std::optional<PlanFile>& file) {
  if (!file) return find_parallel_recipe(recipe_name(arguments)) != nullptr;
  const Result<std::string> kind = plan_kind(file->text, file->path);
  if (!kind) return kind.error();
  return *kind == kParallelKind;
}

// Of either kind of recipe, so that the nearest name may be of the other.
Status check_recipe_name(const std::string& name) {
  const auto known = sorted_row_names(strategies::recipe_table(), parallel_recipe_table());
  if (std::find(known.begin(), known.end(), name) != known.end()) return ok();
  return usage_error(str_cat("simulate: ", unknown_name("--recipe", name, known)));
}

Result<CommandResult> run(const Arguments& arguments, const Console& console) {
  if (Status known = check_recipe_name(recipe_name(arguments)); !known) return known.error();
  const Result<std::optional<PlanFile>> file = read_plan_file(arguments);
  if (!file) return file.error();
  const Result<bool> parallel = is_parallel(arguments, *file);
  if (!parallel) return parallel.error();
  if (*parallel) return run_parallel_simulation(arguments, *file, console);
  if (Status fits = refuse_parallel_options(arguments); !fits) return fits.error();
  if (arguments.has("recipe") && arguments.has("plan")) {
    return usage_error("simulate: --recipe and --plan exclude each other");
  }
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const Result<std::optional<SyncMode>> sync = read_sync(arguments);
  if (!sync) return sync.error();
  const Result<ProblemSpec> spec = read_problem_options(arguments);
  if (!spec) return spec.error();
  const auto loaded = load_problem(*spec, console);
  if (!loaded) return loaded.error();
  Result<Plan> plan = choose_plan(**loaded, arguments, *file, *sync);
  if (!plan) return plan.error();
  const Result<Execution> execution = execute_plan(**loaded, *std::move(plan));
  if (!execution) return execution.error();
  const Status written = write_files(**loaded, execution->plan, arguments);
  if (!written) return written.error();
  const std::string method = arguments.text("plan").value_or(recipe_name(arguments));
  CommandResult result{simulation_record(**loaded, method, *execution).render(*format)};
  if (!execution->infeasible.empty()) {
    console.say(str_cat("infeasible: ", execution->infeasible));
    result.exit_code = ExitCode::kInfeasible;
  }
  return result;
}

}  // namespace

CommandRow simulate_command() {
  Syntax syntax{.command = "simulate", .options = problem_options()};
  syntax.options.insert(
      syntax.options.end(),
      {{"recipe", "NAME", "the plan's rule (default data_parallel); see 'soapbox list recipes'"},
       {"plan", "FILE", "a plan of either kind as JSON, instead of a recipe"},
       {"out", "FILE", "write the plan as JSON"},
       sync_option(),
       {"trace", "FILE", "write the timeline for chrome://tracing or ui.perfetto.dev"},
       {"graphviz", "FILE", "write the operators with their degrees and devices as DOT"},
       format_option()});
  const std::vector<Option> parallel = parallel_options();
  syntax.options.insert(syntax.options.end(), parallel.begin(), parallel.end());
  syntax.details =
      "Recipes megatron, fsdp and deepspeed_zero lay a Transformer's layers over the cluster; the "
      "options\nfrom --tp on are theirs, and --batch, --network, --sync and --graphviz are not; "
      "--seq-len is any\nTransformer's. "
      "The other recipes place single operators. A plan's file says which kind it is.";
  return {"simulate", "Simulates one training iteration of a plan.", std::move(syntax), run};
}

}  // namespace soapbox::runner
