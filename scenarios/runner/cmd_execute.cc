// soapbox execute: plans run for real, beside what was predicted of them.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "results/stats.h"
#include "scenarios/runner/chrome_trace.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/real_run.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/ring_check.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "scenarios/runner/scenario_files/units_text.h"
#include "sim/base/str.h"
#include "strategies/proposals.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kMostRepeats = 1000;
constexpr int64_t kMostPlans = 10'000;
constexpr double kLeastPositive = 1e-9;
constexpr double kMostPositive = 1e12;

struct ExecuteOptions {
  const BackendRow* backend = nullptr;
  RealRunSpec run;
  results::Format format = results::Format::kTable;
  std::optional<double> max_error;  // as a fraction
};

Result<ExecuteOptions> read_options(const Arguments& arguments) {
  ExecuteOptions options;
  if (const Result<std::string> name = arguments.required("backend"); !name) return name.error();
  const Result<const BackendRow*> backend = arguments.parsed("backend", "", find_backend);
  if (!backend) return backend.error();
  options.backend = *backend;
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  options.format = *format;
  const auto repeats = arguments.whole_number("repeat", 1, kMostRepeats);
  if (!repeats) return repeats.error();
  options.run.repeats = repeats->value_or(9);
  const auto scale = arguments.number("time-scale", kLeastPositive, kMostPositive);
  if (!scale) return scale.error();
  options.run.time_scale = *scale;
  const auto max_error = arguments.number("max-error", kLeastPositive, kMostPositive);
  if (!max_error) return max_error.error();
  if (*max_error) options.max_error = **max_error / 100;
  constexpr std::array<std::string_view, 2> kLinks = {"timed", "tcp"};
  const Result<std::string> links = arguments.word("links", kLinks[0], kLinks);
  if (!links) return links.error();
  options.run.tcp_links = *links == "tcp";
  options.run.realtime = arguments.has("realtime");
  const Result<calib::LaunchMode> launch = read_launch(arguments);
  if (!launch) return launch.error();
  options.run.launch = *launch;
  if (arguments.has("launch") && options.backend->name != "cuda") {
    return usage_error("execute: --launch is for --backend cuda");
  }
  const bool paced = options.backend->name == "paced";
  for (const char* const option : {"time-scale", "links", "ring", "rate"}) {
    if (!paced && arguments.has(option)) {
      return usage_error(str_cat("execute: --", option, " is for --backend paced"));
    }
  }
  if (paced && options.run.realtime) {
    return usage_error("execute: --realtime is for --backend cpu; paced asks by itself");
  }
  if (options.run.realtime && options.backend->name == "cuda") {
    return usage_error("execute: --realtime is for --backend cpu");
  }
  return options;
}

Result<NamedPlan> plan_of_file(const LoadedProblem& loaded, const std::string& file,
                               std::optional<SyncMode> sync) {
  const Result<std::string> text = read_text_file(file);
  if (!text) return text.error();
  Result<Plan> plan = plan_from_json(*text, file, loaded.model(), loaded.cluster());
  if (!plan) return plan.error();
  if (sync) plan->sync = *sync;
  results::RunKey key = run_key(loaded, {.name = "plan"}, 0);
  const std::string canonical = plan_to_json(loaded.model(), loaded.cluster(), *plan);
  key.method.settings = nlohmann::json{{"plan", hex(hash_bytes(canonical))}}.dump();
  return NamedPlan{file, std::move(key), *std::move(plan)};
}

// Plan i of a seed is the same whatever their number.
std::vector<NamedPlan> random_plans(const LoadedProblem& loaded, uint64_t count, uint64_t seed,
                                    SyncMode sync) {
  const strategies::Neighbourhood around(loaded.model().graph, loaded.cluster().device_count());
  std::vector<NamedPlan> plans;
  for (uint64_t i = 0; i < count; ++i) {
    MethodSpec method{.name = "random_plan"};
    method.settings.sync = sync;
    results::RunKey key = run_key(loaded, method, 0);
    key.seed = seed + i;
    Rng rng(key.seed);
    Plan plan = strategies::uniform_plan(around, rng);
    plan.sync = sync;
    plans.push_back({str_cat("random ", key.seed), std::move(key), std::move(plan)});
  }
  return plans;
}

Result<std::vector<NamedPlan>> choose_plans(const LoadedProblem& loaded,
                                            const Arguments& arguments) {
  const Result<std::optional<SyncMode>> sync = read_sync(arguments);
  if (!sync) return sync.error();
  const auto count = arguments.whole_number("random-plans", 1, kMostPlans);
  if (!count) return count.error();
  const auto seed =
      arguments.whole_number("seed", 0, std::numeric_limits<int64_t>::max() - kMostPlans);
  if (!seed) return seed.error();
  if (*seed && !*count) return usage_error("execute: --seed is for --random-plans");
  const SyncMode mode = (*sync).value_or(SyncMode::kOverlapped);
  if (*count) {
    return random_plans(loaded, static_cast<uint64_t>(**count),
                        static_cast<uint64_t>(seed->value_or(0)), mode);
  }
  if (const std::optional<std::string> file = arguments.text("plan")) {
    Result<NamedPlan> plan = plan_of_file(loaded, *file, *sync);
    if (!plan) return plan.error();
    return std::vector<NamedPlan>{*std::move(plan)};
  }
  const auto recipe = arguments.parsed("recipe", "data_parallel", strategies::find_recipe);
  if (!recipe) return recipe.error();
  MethodSpec method{.name = std::string((*recipe)->name)};
  method.settings.sync = mode;
  Result<Plan> plan = make_recipe(loaded.problem(), method.name, mode);
  if (!plan) return plan.error();
  return std::vector<NamedPlan>{{method.name, run_key(loaded, method, 0), *std::move(plan)}};
}

std::string correlation(std::span<const double> a, std::span<const double> b) {
  const std::optional<double> found = results::rank_correlation(a, b);
  return found ? fixed(*found, 3) : "unknown";
}

// The comparisons of all plans as a table, and what they come to.
class Comparisons {
 public:
  void add(const std::string& name, const Comparison& comparison) {
    table_.add_row({name, comparison.predicted.lowered.graph.task_count(),
                    comparison.predicted_time.seconds(), comparison.measured_time.seconds(),
                    comparison.error(), comparison.task_error_mean, comparison.task_error_worst,
                    comparison.lateness_p50_s * 1e6, comparison.lateness_p99_s * 1e6,
                    comparison.time_scale, hex(comparison.trace_hash)});
    predicted_.push_back(comparison.predicted_time.seconds());
    measured_.push_back(comparison.measured_time.seconds());
    errors_.push_back(std::fabs(comparison.error()));
    for (size_t i = 0; i < 2; ++i) halves_[i].push_back(comparison.half_s[i]);
  }
  double worst() const { return *std::max_element(errors_.begin(), errors_.end()); }
  const results::Table& table() const { return table_; }
  std::string summary() const {
    std::string text = str_cat(
        errors_.size(), errors_.size() == 1 ? " plan" : " plans", ": mean error ",
        percent(results::mean_absolute_relative_error(predicted_, measured_), 2), ", median ",
        percent(results::quantile(errors_, 0.5), 2), ", worst ", percent(worst(), 2));
    if (errors_.size() >= 2) {
      const auto [least, most] = std::minmax_element(predicted_.begin(), predicted_.end());
      text += str_cat(", rank correlation ", correlation(predicted_, measured_),
                      "\nwhat could be had: the longest prediction is ", fixed(*most / *least, 2),
                      " times the shortest; halves of the runs have a rank correlation of ",
                      correlation(halves_[0], halves_[1]), " with each other");
    }
    return str_cat(text, "\n");
  }

 private:
  results::Table table_ = results::Table({{"plan"},
                                          {"tasks"},
                                          {"predicted_s"},
                                          {"measured_s"},
                                          {"error", 4},
                                          {"task_error_mean", 4},
                                          {"task_error_worst", 4},
                                          {"late_p50_us", 1},
                                          {"late_p99_us", 1},
                                          {"time_scale"},
                                          {"trace_hash"}});
  std::vector<double> predicted_;
  std::vector<double> measured_;
  std::vector<double> errors_;
  std::array<std::vector<double>, 2> halves_;
};

CommandResult present(const results::Table& table, const std::string& summary, double worst,
                      const ExecuteOptions& options, const Console& console) {
  CommandResult result{results::render(table, options.format)};
  if (options.format == results::Format::kTable) {
    result.output += str_cat("\n", summary);
  } else {
    console.say(std::string_view(summary).substr(0, summary.find('\n')));
  }
  if (options.max_error && worst > *options.max_error) result.exit_code = ExitCode::kRegression;
  return result;
}

Result<CommandResult> execute_ring(const Arguments& arguments, const ExecuteOptions& options,
                                   const Console& console) {
  for (const char* const option :
       {"model", "cluster", "devices", "batch", "network", "compute-slowdown",
        "communication-slowdown", "plan", "recipe", "random-plans", "seed", "sync", "trace", "db",
        "links", "time-scale", "launch"}) {
    if (arguments.has(option)) {
      return usage_error(str_cat("execute: --", option, " does not apply to --ring"));
    }
  }
  constexpr int64_t kMostRanks = 64;
  const auto ranks = arguments.whole_number("ring", 2, kMostRanks);
  if (!ranks) return ranks.error();
  RingCheckSpec spec;
  spec.ranks = static_cast<uint32_t>(**ranks);
  spec.repeats = static_cast<int>(options.run.repeats);
  if (const std::optional<std::string> text = arguments.text("rate")) {
    const Result<BytesPerSecond> rate = parse_bandwidth(*text);
    if (!rate) return arguments.refused("rate", rate.error());
    if (!(rate->rate() >= 1e6)) return usage_error("--rate: at least 1 MB/s");
    spec.rate = *rate;
  }
  const Interrupt interrupt;
  const Result<RingCheck> check = check_ring(spec, interrupt, console);
  if (!check) return check.error();
  return present(check->table, check->summary, check->worst_error, options, console);
}

Result<CommandResult> execute_plans(const Arguments& arguments, const ExecuteOptions& options,
                                    const Console& console) {
  const Result<ProblemSpec> spec = read_problem_options(arguments);
  if (!spec) return spec.error();
  if (spec->simulation.network == NetworkModel::kFair) {
    return usage_error(
        "execute: with --network fair links have no order to run in; fifo and steps do");
  }
  const auto loaded = load_problem(*spec, console);
  if (!loaded) return loaded.error();
  const Result<std::vector<NamedPlan>> plans = choose_plans(**loaded, arguments);
  if (!plans) return plans.error();
  const std::optional<std::string> trace = arguments.text("trace");
  if (trace && plans->size() > 1) return usage_error("execute: --trace is for one plan");
  const std::string database = arguments.text_or("db", "execute.db");
  Result<results::Store> store = results::Store::open(database);
  if (!store) return store.error();
  const Interrupt interrupt;
  Result<std::vector<Comparison>> runs =
      run_for_real(**loaded, *plans, *options.backend, options.run, *store, interrupt, console);
  if (!runs) return runs.error();
  Comparisons comparisons;
  for (size_t i = 0; i < plans->size(); ++i) comparisons.add((*plans)[i].name, (*runs)[i]);
  if (trace) {
    Run& shown = runs->front().predicted;
    shown.timeline = runs->front().measured;
    const Status written = write_file(*trace, chrome_trace((*loaded)->problem(), shown));
    if (!written) return written.error();
  }
  return present(comparisons.table(), str_cat(comparisons.summary(), "database: ", database, "\n"),
                 comparisons.worst(), options, console);
}

Result<CommandResult> run(const Arguments& arguments, const Console& console) {
  const int sources = static_cast<int>(arguments.has("recipe")) +
                      static_cast<int>(arguments.has("plan")) +
                      static_cast<int>(arguments.has("random-plans"));
  if (sources > 1) {
    return usage_error("execute: --recipe, --plan and --random-plans exclude each other");
  }
  const Result<ExecuteOptions> options = read_options(arguments);
  if (!options) return options.error();
  if (arguments.has("ring")) return execute_ring(arguments, *options, console);
  if (arguments.has("rate")) return usage_error("execute: --rate is for --ring");
  return execute_plans(arguments, *options, console);
}

}  // namespace

CommandRow execute_command() {
  Syntax syntax{.command = "execute", .options = problem_options()};
  syntax.options.insert(
      syntax.options.end(),
      {{"backend", "NAME",
        "paced: threads that wait as long as each task should take; cpu: real kernels on cores;\n"
        "cuda: on GPUs, and cores beside them"},
       {"recipe", "NAME", "the plan's rule (default data_parallel); see 'soapbox list recipes'"},
       {"plan", "FILE", "a plan as JSON, instead of a recipe"},
       {"random-plans", "N", "N random plans, instead of a recipe"},
       {"seed", "S", "of the first random plan; the others follow (default 0)"},
       sync_option(),
       {"repeat", "N", "runs of each plan, of which the fastest counts (default 9)"},
       {"time-scale", "X", "paced: real seconds per simulated one (default: 1 s an iteration)"},
       {"links", "HOW", "paced: timed (default), or tcp: bytes go through loopback connections"},
       {"realtime", "", "cpu: ask for real-time priority, so that other programs do not disturb"},
       {"launch", "HOW",
        "cuda: graph (default): replayed by the device, stream: by the host, or wait: by the "
        "host,\n"
        "which waits for each kernel, as it does wherever there are several devices"},
       {"ring", "N", "paced: instead of a plan, a ring all-reduce of N ranks over TCP"},
       {"rate", "RATE", "of the ring's links (default 20 MB/s)"},
       {"db", "FILE", "predictions and runs go there (default execute.db); made if absent"},
       {"trace", "FILE", "write the measured timeline of one plan for ui.perfetto.dev"},
       {"max-error", "PERCENT", "exit with 6 if a plan's time is predicted worse than this"},
       format_option()});
  syntax.details =
      "Every prediction, with the hash of its timeline, is stored before its plan runs; the\n"
      "measured timeline is stored beside it, task by task ('soapbox export executed_tasks').\n"
      "error is predicted / measured - 1; task errors are distances between the predicted and\n"
      "the measured end of a task, as shares of the iteration.";
  return {"execute", "Runs plans for real, and compares them with their predictions.",
          std::move(syntax), run};
}

}  // namespace soapbox::runner
