#include "scenarios/runner/parallel_simulation.h"

#include "scenarios/runner/chrome_trace.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/parallel_options.h"
#include "scenarios/runner/parallel_problem.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/run_record.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

void add_plan(Record& record, const ParallelPlanChoice& choice) {
  const ParallelPlan& plan = choice.plan;
  const LayerStrategy& strategy = plan.strategies.front();
  record.add("tp", strategy.tensor_parallel);
  record.add("pp", plan.pipeline_parallel);
  record.add("vpp", plan.chunks_per_stage);
  record.add("dp", strategy.data_parallel);
  record.add("cp", strategy.context_parallel);
  record.add("ep", strategy.expert_parallel);
  record.add("zero", strategy.zero_stage);
  record.add("sequence_parallel", strategy.sequence_parallel);
  record.add("micro_batch", plan.microbatch);
  record.add("microbatches", plan.microbatches);
  record.add("global_batch", choice.global_batch);
  record.add("schedule", to_string(plan.schedule));
  record.add("recompute", to_string(strategy.recompute));
  record.add("precision", to_string(plan.precision.compute));
  record.add("layer_strategies", plan.strategies.size());  // the figures above are of the first
}

void add_times(Record& record, const Report& report, double tokens_per_sample) {
  record.add("iteration_time_s", report.iteration_time.seconds());
  record.add("low_s", report.low.seconds());
  record.add("high_s", report.high.seconds());
  record.add("samples_per_s", report.samples_per_s);
  record.add("samples_per_s_per_device", report.samples_per_s_per_device);
  record.add("tokens_per_s_per_device", report.samples_per_s_per_device * tokens_per_sample);
  record.add("mfu", report.mfu);
  record.add("bubble_fraction", report.bubble_fraction);
  record.add("exposed_communication_s", report.exposed_communication.seconds());
  record.add("communication_bytes", report.communication.count());
  add_simulated_figures(record, report);
}

// Options of the other path, and the recipes that take them.
Status refuse_operator_options(const Arguments& arguments) {
  for (const char* option :
       {"batch", "network", "compute-slowdown", "communication-slowdown", "sync", "graphviz"}) {
    if (!arguments.has(option)) continue;
    const std::string other = arguments.has("plan")
                                  ? "a plan of layers"
                                  : str_cat("--recipe ", arguments.text_or("recipe", ""));
    return usage_error(str_cat("simulate: --", option,
                               " is for recipes and plans that place operators, not for ", other,
                               "; see 'soapbox list recipes'"));
  }
  return ok();
}

// A plan's file says what the options of plans would.
Status refuse_plan_options(const Arguments& arguments) {
  for (const Option& option : parallel_options()) {
    const bool of_run = option.name == "fold" || option.name == "run-factors";
    if (of_run || option.name == "seq-len" || !arguments.has(option.name)) continue;
    return usage_error(
        str_cat("simulate: --", option.name, " and --plan exclude each other: the file says it"));
  }
  return ok();
}

struct Source {
  std::string name;                        // the recipe, or the plan's file
  std::optional<std::string> text;         // of the file
  const ParallelRecipe* recipe = nullptr;  // else
};

Result<Source> read_source(const Arguments& arguments, const std::optional<PlanFile>& file) {
  if (!file) {
    const std::string recipe = arguments.text_or("recipe", "");
    return Source{recipe, {}, find_parallel_recipe(recipe)};
  }
  if (arguments.has("recipe")) {
    return usage_error("simulate: --recipe and --plan exclude each other");
  }
  if (Status fits = refuse_plan_options(arguments); !fits) return fits.error();
  return Source{file->path, file->text, nullptr};
}

Result<std::unique_ptr<const LoadedParallelProblem>> load_problem_of(const Source& source,
                                                                     const Arguments& arguments,
                                                                     const Console& console) {
  std::optional<int64_t> seq_len;
  if (source.text) {
    const Result<ParallelPlanHeader> header = parallel_plan_header(*source.text, source.name);
    if (!header) return header.error();
    seq_len = header->seq_len;
  }
  return load_parallel_problem(arguments, console, seq_len);
}

Result<ParallelPlanChoice> choose_plan(const Source& source, const Arguments& arguments,
                                       const ParallelProblem& problem) {
  const size_t devices = problem.cluster.device_count();
  if (source.recipe != nullptr) {
    return read_parallel_plan(arguments, *source.recipe, problem.model,
                              static_cast<int64_t>(devices));
  }
  Result<ParallelPlan> plan =
      parallel_plan_from_json(*source.text, source.name, problem.model, devices);
  if (!plan) return plan.error();
  const int64_t batch =
      plan->microbatch * plan->microbatches * plan->strategies.front().data_parallel;
  return ParallelPlanChoice{*std::move(plan), batch};
}

Status write_files(const Arguments& arguments, const ParallelProblem& problem,
                   const ParallelPlan& plan, const ParallelRun& run) {
  if (const std::optional<std::string> path = arguments.text("out")) {
    Status written = write_file(*path, parallel_plan_to_json(plan_header(problem), plan));
    if (!written) return written;
  }
  if (const std::optional<std::string> path = arguments.text("trace")) {
    return write_file(*path, chrome_trace(run));
  }
  return ok();
}

std::string render(const LoadedParallelProblem& loaded, const std::string& recipe,
                   const ParallelPlanChoice& choice, const ParallelRun& run,
                   const std::string& reason, results::Format format) {
  const ParallelProblem& problem = loaded.problem();
  Record record;
  record.add("model", problem.model.name);
  record.add("cluster", problem.cluster.name());
  record.add("devices", problem.cluster.device_count());
  record.add("recipe", recipe);
  add_plan(record, choice);
  record.add("seq_len", problem.model.seq_len);
  record.add("parameters", problem.model.parameter_count());
  const Report& report = std::get<Report>(run.outcome);
  add_memory(record, report, reason);
  add_times(record, report, static_cast<double>(problem.model.seq_len));
  record.add("folded", run.lowered.folded);
  return record.render(format);
}

}  // namespace

Result<CommandResult> run_parallel_simulation(const Arguments& arguments,
                                              const std::optional<PlanFile>& file,
                                              const Console& console) {
  if (Status fits = refuse_operator_options(arguments); !fits) return fits.error();
  const Result<Source> source = read_source(arguments, file);
  if (!source) return source.error();
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const Result<bool> fold = read_fold(arguments);
  if (!fold) return fold.error();
  const auto loaded = load_problem_of(*source, arguments, console);
  if (!loaded) return loaded.error();
  const ParallelProblem& problem = (*loaded)->problem();
  const Result<ParallelPlanChoice> choice = choose_plan(*source, arguments, problem);
  if (!choice) return choice.error();
  const ParallelRun run =
      simulate_parallel(problem, choice->plan, {.fold = *fold, .check_memory = false});
  const Status written = write_files(arguments, problem, choice->plan, run);
  if (!written) return written.error();
  const std::optional<Infeasible> reason = out_of_memory(problem, choice->plan, run.memory);
  const std::string text = reason ? describe(problem.cluster, *reason) : "";
  CommandResult result{render(**loaded, source->name, *choice, run, text, *format)};
  if (reason) {
    console.say(str_cat("infeasible: ", text));
    result.exit_code = ExitCode::kInfeasible;
  }
  return result;
}

}  // namespace soapbox::runner
