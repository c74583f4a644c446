#include "scenarios/runner/planning/planner_search.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>

#include "scenarios/runner/interrupt.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/planning/galvatron_files.h"
#include "scenarios/runner/planning/planner_run.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/record.h"
#include "sim/base/check.h"
#include "sim/base/str.h"
#include "sim/model/transformers.h"
#include "sim/plan/parallel_plan_json.h"
#include "strategies/uniap/own_models.h"
#include "strategies/uniap/to_plan.h"

namespace soapbox::runner {
namespace {

namespace uniap = strategies::uniap;
using Json = nlohmann::ordered_json;

constexpr int64_t kMostBatch = 1 << 24;
// Of the searchers that see a simulator; a planner has no use for them.
constexpr std::array<std::string_view, 7> kSearcherOptions = {"seq-len",
                                                              "budget",
                                                              "sync",
                                                              "simulation",
                                                              "network",
                                                              "compute-slowdown",
                                                              "communication-slowdown"};

// "--set gradient_sync=inside,memory=1f1b"
Status read_switches(const Arguments& arguments, uniap::TableOptions& options) {
  const std::string text = arguments.text_or("set", "");
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const size_t equals = part.find('=');
    if (equals == std::string::npos) {
      return usage_error(str_cat("--set: '", shown(part), "' is not SWITCH=VALUE"));
    }
    const Status set = uniap::set_option(options, part.substr(0, equals), part.substr(equals + 1));
    if (!set) return arguments.refused("set", set.error());
    begin = end + 1;
  }
  return ok();
}

Result<int64_t> read_global_batch(const Arguments& arguments) {
  const auto global = arguments.whole_number("global-batch", 1, kMostBatch);
  if (!global) return global.error();
  const auto batch = arguments.whole_number("batch", 1, kMostBatch);
  if (!batch) return batch.error();
  if (*global && *batch && **global != **batch) {
    return usage_error("--batch and --global-batch are the same thing: give one");
  }
  if (!*global && !*batch) return usage_error("a planner needs --global-batch N");
  return *global ? **global : **batch;
}

Status read_precision(const Arguments& arguments, const std::string& model,
                      uniap::TransformerCostsOptions& costs) {
  const auto published = published_precision(model);
  if (!published) return published.error();
  costs = *published;
  if (arguments.has("precision")) {
    const Result<Precision> precision = arguments.parsed("precision", "", parse_precision);
    if (!precision) return precision.error();
    costs.precision = *precision;
    costs.flash_attention = precision->compute != DataType::kFp32;
  }
  constexpr std::array<std::string_view, 2> kWays = {"chain", "hub"};
  const Result<std::string> way = arguments.word("cross-attention", kWays[0], kWays);
  if (!way) return way.error();
  costs.cross_attention =
      *way == "hub" ? uniap::CrossAttention::kHub : uniap::CrossAttention::kAlongChain;
  return ok();
}

std::string stage_text(const uniap::CostTables& tables, const uniap::Assignment& a, size_t stage) {
  std::string text;
  for (size_t u = a.stage_begin[stage]; u < a.stage_end(stage);) {
    size_t run = u;
    while (run < a.stage_end(stage) && a.strategy[run] == a.strategy[u]) ++run;
    if (!text.empty()) text += ", ";
    text += str_cat(run - u, " x ", to_string(tables.strategies[a.strategy[u]]));
    u = run;
  }
  return text;
}

std::string plan_text(const uniap::UnifiedPlan& plan) {
  std::string text;
  for (size_t i = 0; i < plan.assignment.stage_begin.size(); ++i) {
    text += str_cat(i > 0 ? " | " : "", stage_text(plan.tables, plan.assignment, i));
  }
  return text;
}

Json layers_json(const uniap::UnifiedPlan& plan) {
  Json layers = Json::array();
  const uniap::Assignment& a = plan.assignment;
  for (size_t i = 0; i < a.stage_begin.size(); ++i) {
    for (size_t u = a.stage_begin[i]; u < a.stage_end(i); ++u) {
      const uniap::Strategy& s = plan.tables.strategies[a.strategy[u]];
      layers.push_back({{"layer", u}, {"stage", i}, {"tp", s.tp}, {"dp", s.dp}, {"fsdp", s.fsdp}});
    }
  }
  return layers;
}

// The paper's three failures: nothing fits (SOL x), the planner gave up (MEM x), what it planned
// does not run (CUDA x).
std::string failure_text(const PlannerSearchOutcome& outcome) {
  return outcome.unified.best ? "does not run" : to_string(outcome.unified.failure);
}

std::string reason_text(const PlannerSearchOutcome& outcome) {
  if (!outcome.simulated) return outcome.unified.infeasible_reason;
  const auto& infeasible = std::get<Infeasible>(*outcome.simulated);
  return str_cat("device ", infeasible.device.value(),
                 " runs out of memory: ", infeasible.component, " needs ",
                 infeasible.needed.count(), " of ", infeasible.available.count(), " bytes");
}

// The fields that a table shows, too; the layers follow.
Record summary(const PlannerSearchSpec& spec, const PlannerSearchOutcome& outcome) {
  const uniap::UnifiedOutcome& unified = outcome.unified;
  const auto& best = unified.best;
  Record record;
  record.add("model", outcome.loaded->model().name);
  record.add("cluster", outcome.loaded->cluster().name());
  record.add("devices", outcome.loaded->cluster().device_count());
  record.add("global_batch", spec.global_batch);
  record.add("method", spec.method);
  record.add("cost_model", spec.own_cost_model ? "own" : "soapbox");
  record.add("tables",
             spec.problem.galvatron_profiles.empty() ? "simulator" : "galvatron profiles");
  const Report* report = outcome.report();
  record.add("feasible", report != nullptr);
  const auto simulated = [&](auto field) {
    return report != nullptr ? results::Cell(field(*report)) : results::Cell();
  };
  record.add("iteration_time_s",
             simulated([](const Report& r) { return r.iteration_time.seconds(); }));
  record.add("samples_per_s", simulated([&](const Report& r) {
               return static_cast<double>(spec.global_batch) / r.iteration_time.seconds();
             }));
  record.add("peak_memory_bytes",
             simulated([](const Report& r) { return r.memory.total().count(); }));
  record.add("objective_s", best ? results::Cell(best->objective.total_s) : results::Cell());
  record.add("bound_s", unified.bound_s > 0 ? results::Cell(unified.bound_s) : results::Cell());
  record.add("gap", best && unified.bound_s > 0 ? results::Cell(unified.gap()) : results::Cell());
  record.add("proven", unified.proven);
  record.add("pp", best ? results::Cell(best->tables.stages) : results::Cell());
  record.add("microbatches", best ? results::Cell(best->tables.microbatches) : results::Cell());
  record.add("plan", best ? results::Cell(plan_text(*best)) : results::Cell());
  record.add("cells", unified.cells.size());
  record.add("solver", unified.solver);
  record.add("labels", unified.labels);
  record.add("table_cpu_s", unified.table_cpu_s);
  record.add("search_cpu_s", unified.search_cpu_s);
  record.add("proof_cpu_s", unified.proof_cpu_s);
  const bool runs = report != nullptr;
  record.add("failure", runs ? results::Cell() : results::Cell(failure_text(outcome)));
  record.add("infeasible_reason", runs ? results::Cell() : results::Cell(reason_text(outcome)));
  if (outcome.oracle) {
    std::optional<double> chosen_s;
    if (runs) chosen_s = report->iteration_time.seconds();
    add_oracle(record, *outcome.oracle, chosen_s);
  }
  return record;
}

// Galvatron counts the blocks alone; embedding and head go with the first and the last stage.
GalvatronPlanFile galvatron_plan(const PlannerSearchSpec& spec, const ParallelPlan& plan,
                                 const Transformer& model) {
  GalvatronPlanFile file;
  file.pp = plan.pipeline_parallel;
  file.global_batch = spec.global_batch;
  file.chunks = plan.microbatches;
  file.pipeline_type = plan.schedule == PipelineSchedule::k1F1B ? "pipedream_flush" : "gpipe";
  for (size_t stage = 0; stage < plan.chunk_begin.size(); ++stage) {
    const auto first = static_cast<size_t>(plan.chunk_begin[stage]);
    const size_t end = stage + 1 < plan.chunk_begin.size()
                           ? static_cast<size_t>(plan.chunk_begin[stage + 1])
                           : model.layers.size();
    const size_t before = file.layers.size();
    for (size_t u = first; u < end; ++u) {
      if (model.layers[u].kind != LayerKind::kBlock) continue;
      const LayerStrategy& strategy = plan.strategy(u);
      strategies::galvatron::LayerChoice choice{
          .pp = file.pp, .tp = strategy.tensor_parallel, .dp = strategy.data_parallel};
      choice.tp_consecutive = choice.mixed();
      choice.fsdp = strategy.zero_stage == 3;
      file.layers.push_back(choice);
    }
    file.stage_layers.push_back(static_cast<int64_t>(file.layers.size() - before));
  }
  return file;
}

}  // namespace

Result<uniap::TransformerCostsOptions> published_precision(const std::string& model) {
  const Result<const TransformerRow*> row = find_transformer(model);
  if (!row) return row.error();
  const bool decoder = std::holds_alternative<GptShape>((*row)->shape);
  uniap::TransformerCostsOptions costs;
  costs.precision = *parse_precision(decoder ? "fp16" : "fp32");
  costs.flash_attention = decoder;
  return costs;
}

std::string planner_record(const PlannerSearchSpec& spec, const PlannerSearchOutcome& outcome,
                           results::Format format) {
  const Record record = summary(spec, outcome);
  if (format != results::Format::kJson && format != results::Format::kJsonl) {
    return record.render(format);
  }
  Json json = Json::parse(record.render(results::Format::kJson));
  json["strategy_by_layer"] = nullptr;
  if (outcome.unified.best) json["strategy_by_layer"] = layers_json(*outcome.unified.best);
  return json.dump(format == results::Format::kJson ? 2 : -1) + "\n";
}

std::string planner_failure(const PlannerSearchOutcome& outcome) {
  return str_cat(failure_text(outcome), ": ", reason_text(outcome));
}

const Report* PlannerSearchOutcome::report() const {
  return simulated ? std::get_if<Report>(&*simulated) : nullptr;
}

std::vector<Option> planner_options() {
  return {
      {"global-batch", "N", "planners: samples per iteration, all devices together"},
      {"pp", "N", "planners: only this many pipeline stages (default: every divisor)"},
      {"microbatches", "N", "planners: only this many micro-batches (default: every divisor)"},
      {"precision", "NAME", "planners: fp32, tf32, bf16, fp16 or fp8 (default: as published)"},
      {"cross-attention", "WAY", "planners: the encoder's output goes by chain (default) or hub"},
      {"galvatron-out", "FILE", "planners: write the plan as JSON of Galvatron"},
      {"set", "SWITCH=VALUE,...", "planners: what the cost tables contain; see below"},
      {"certificate", "FILE", "miqp: write the proof, a certificate of every pp and micro-batches"},
      {"check", "FILE", "miqp: search nothing, but check that such a file holds for these costs"},
      {"oracle", "N", "planners: simulate all uniform plans, N drawn ones (--seed) and neighbours"},
      {"cost-model", "NAME", "planners: soapbox (default), or own: that of its publication"},
      {"galvatron-profiles", "DIR", "planners: tables from Galvatron's profiles in this folder"},
      {"cpu-limit", "S", "planners: CPU seconds for each pp and micro-batch count (default 60)"}};
}

namespace {

Status read_oracle(const Arguments& arguments, PlannerSearchSpec& spec) {
  constexpr int64_t kMostSamples = 1 << 24;
  const auto samples = arguments.whole_number("oracle", 0, kMostSamples);
  if (!samples) return samples.error();
  const auto seed = arguments.whole_number("seed", 0, std::numeric_limits<int64_t>::max());
  if (!seed) return seed.error();
  if (*seed && !*samples) return usage_error("--seed is not for planners without --oracle");
  if (*samples) {
    spec.oracle = {static_cast<uint64_t>(**samples), static_cast<uint64_t>(seed->value_or(0))};
  }
  return ok();
}

Status read_costs(const Arguments& arguments, PlannerSearchSpec& spec) {
  spec.problem.galvatron_profiles = arguments.text_or("galvatron-profiles", "");
  constexpr std::array<std::string_view, 2> kCostModels = {"soapbox", "own"};
  const auto model = arguments.word("cost-model", kCostModels[0], kCostModels);
  if (!model) return model.error();
  spec.own_cost_model = *model == "own";
  if (!spec.own_cost_model || uniap::find_own_model(spec.method) != nullptr) return ok();
  std::vector<std::string> names;
  for (const uniap::OwnModelRow& row : uniap::own_model_table()) names.emplace_back(row.planner);
  return usage_error(str_cat("--cost-model own: ", spec.method,
                             " was published without a cost model; with one: ", join(names, ", ")));
}

}  // namespace

Result<PlannerSearchSpec> read_planner_options(const Arguments& arguments) {
  for (const std::string_view option : kSearcherOptions) {
    if (arguments.has(option)) return usage_error(str_cat("--", option, " is not for planners"));
  }
  PlannerSearchSpec spec;
  for (auto [text, option] :
       {std::pair(&spec.method, "method"), std::pair(&spec.problem.model, "model"),
        std::pair(&spec.problem.cluster, "cluster")}) {
    const Result<std::string> value = arguments.required(option);
    if (!value) return value.error();
    *text = *value;
  }
  const Result<std::optional<int64_t>> devices = read_devices(arguments);
  if (!devices) return devices.error();
  spec.problem.devices = *devices;
  const Result<int64_t> batch = read_global_batch(arguments);
  if (!batch) return batch.error();
  spec.global_batch = *batch;
  const auto stages = arguments.whole_number("pp", 1, 1 << 20);
  if (!stages) return stages.error();
  if (*stages) spec.stages = static_cast<int32_t>(**stages);
  const auto microbatches = arguments.whole_number("microbatches", 1, kMostBatch);
  if (!microbatches) return microbatches.error();
  spec.microbatches = *microbatches;
  const auto limit = arguments.whole_number("cpu-limit", 1, 1 << 20);
  if (!limit) return limit.error();
  spec.cpu_limit_s = static_cast<double>(limit->value_or(60));
  const Status oracle = read_oracle(arguments, spec);
  if (!oracle) return oracle.error();
  const Status costs = read_costs(arguments, spec);
  if (!costs) return costs.error();
  const bool has_proofs = spec.method == "miqp" && !spec.own_cost_model;
  const Status proof = read_proof_options(arguments, has_proofs, spec.proof);
  if (!proof) return proof.error();
  const Status precision = read_precision(arguments, spec.problem.model, spec.problem.costs);
  if (!precision) return precision.error();
  if (arguments.has("set")) {
    const Status switches = read_switches(arguments, spec.tables);
    if (!switches) return switches.error();
  }
  return spec;
}

namespace {

Status check_search(const PlannerSearchSpec& spec, const Cluster& cluster) {
  if (spec.stages && static_cast<int64_t>(cluster.device_count()) % *spec.stages != 0) {
    return usage_error(str_cat("--pp ", *spec.stages, " does not divide the ",
                               cluster.device_count(), " devices"));
  }
  if (spec.microbatches && spec.global_batch % *spec.microbatches != 0) {
    return usage_error(str_cat("--microbatches ", *spec.microbatches,
                               " does not divide the global batch of ", spec.global_batch));
  }
  return ok();
}

uniap::UnifiedRequest request_of(const PlannerSearchSpec& spec, const uniap::PlannerRow& planner,
                                 const PlannerProblem& loaded) {
  uniap::UnifiedRequest request{.costs = loaded.layers(),
                                .options = spec.tables,
                                .global_batch = spec.global_batch,
                                .planner = planner,
                                .cpu_limit_s = spec.cpu_limit_s,
                                .stages = spec.stages,
                                .microbatches = spec.microbatches};
  const bool unset = spec.tables.compute_slowdown == 1 && spec.tables.traffic_slowdown == 1;
  if (loaded.is_profiled() && unset) {
    request.options.compute_slowdown = loaded.profile().overlap_slowdown;
    request.options.traffic_slowdown = loaded.profile().overlap_slowdown;
  }
  return request;
}

// The plan of the planner, and the switches under which it is one.
uniap::OwnAnswer search_plan(const PlannerSearchSpec& spec, const uniap::UnifiedRequest& request,
                             const PlannerProblem& loaded) {
  if (!spec.own_cost_model) return {uniap::unified_search(request), request.options};
  return uniap::find_own_model(spec.method)
      ->search({.search = request,
                .profile = loaded.profile(),
                .mixed_precision = spec.problem.costs.precision.compute != DataType::kFp32,
                .memory = loaded.device_memory()});
}

}  // namespace

Result<PlannerSearchOutcome> planner_search(const PlannerSearchSpec& spec,
                                            const std::function<bool()>& stop) {
  Result<std::unique_ptr<const PlannerProblem>> loaded = PlannerProblem::load(spec.problem);
  if (!loaded) return loaded.error();
  return planner_search(spec, *std::move(loaded), stop);
}

Result<PlannerSearchOutcome> planner_search(const PlannerSearchSpec& spec,
                                            std::shared_ptr<const PlannerProblem> loaded,
                                            const std::function<bool()>& stop) {
  const Result<const uniap::PlannerRow*> planner = uniap::find_planner(spec.method);
  if (!planner) return planner.error();
  if (const Status status = check_search(spec, loaded->cluster()); !status) return status.error();
  PlannerSearchOutcome outcome{std::move(loaded)};
  const ParallelProblem& problem = outcome.loaded->problem();
  uniap::UnifiedRequest request = request_of(spec, **planner, *outcome.loaded);
  request.stop = stop;
  if (spec.proof.check) {
    const auto checked = uniap::check_search(request, *spec.proof.check);
    if (!checked) return checked.error();
    outcome.checked = *checked;
    return outcome;
  }
  uniap::OwnAnswer found = search_plan(spec, request, *outcome.loaded);
  outcome.unified = std::move(found.outcome);
  outcome.interrupted = outcome.unified.interrupted;
  if (spec.proof.make && !outcome.interrupted) {
    Result<SearchProof> proof = uniap::prove_search(request, outcome.unified);
    outcome.interrupted = !proof && proof.error().code == ErrorCode::kInterrupted;
    if (!proof && !outcome.interrupted) return proof.error();
    if (proof) outcome.proof = *std::move(proof);
  }
  if (spec.oracle && !outcome.interrupted) {
    outcome.oracle =
        planner_oracle(problem, outcome.loaded->layers(), spec.problem.costs, found.options,
                       spec.global_batch, outcome.unified, *spec.oracle, stop);
    outcome.interrupted = stop && stop();
    if (outcome.interrupted) outcome.oracle.reset();
  }
  if (!outcome.unified.best) return outcome;
  const uniap::UnifiedPlan& best = *outcome.unified.best;
  outcome.plan = uniap::to_parallel_plan(best.tables, best.assignment, spec.problem.costs,
                                         found.options, spec.global_batch);
  const Status fits =
      check_parallel_plan(problem.model, *outcome.plan, problem.cluster.device_count());
  SOAPBOX_CHECK(fits.has_value(), "a planner's plan is not a plan");
  outcome.simulated = simulate_parallel(problem, *outcome.plan).outcome;
  return outcome;
}

Result<PlannerCommandResult> run_planner_search(const Arguments& arguments,
                                                const Console& console) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const Result<PlannerSearchSpec> spec = read_planner_options(arguments);
  if (!spec) return spec.error();
  const auto start = std::chrono::steady_clock::now();
  const Interrupt interrupt;
  const Result<PlannerSearchOutcome> outcome =
      planner_search(*spec, [&interrupt] { return interrupt.requested(); });
  if (!outcome) return outcome.error();
  if (outcome->checked) return PlannerCommandResult{{render(*outcome->checked, *format)}, {}};
  const double wall_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::optional<std::string> path = arguments.text("certificate");
  if (path && !outcome->interrupted) {
    const Status written = write_file(*path, search_proof_to_json(outcome->proof));
    if (!written) return written.error();
  }
  const std::optional<std::string> galvatron = arguments.text("galvatron-out");
  if (galvatron && outcome->plan) {
    const Status written = write_file(
        *galvatron,
        galvatron_plan_to_json(galvatron_plan(*spec, *outcome->plan, outcome->loaded->model())));
    if (!written) return written.error();
  }
  const std::optional<std::string> out = arguments.text("out");
  if (out && outcome->plan) {
    const Transformer& model = outcome->loaded->model();
    const Cluster& cluster = outcome->loaded->cluster();
    const ParallelPlanHeader header = {model.name, model.seq_len, cluster.name(),
                                       static_cast<int64_t>(cluster.device_count())};
    const Status written = write_file(*out, parallel_plan_to_json(header, *outcome->plan));
    if (!written) return written.error();
  }
  PlannerCommandResult command{{planner_record(*spec, *outcome, *format)},
                               planner_run_row(*spec, planner_run_key(*spec, *outcome->loaded),
                                               *outcome, wall_s, console.command_line)};
  if (outcome->interrupted) {
    console.say(str_cat("soapbox: interrupted; ",
                        outcome->plan ? "this is the best plan so far, and it is not stored"
                                      : "there is no plan so far"));
    command.result.exit_code = ExitCode::kInterrupted;
    command.row.reset();
  } else if (outcome->report() == nullptr) {
    command.result.exit_code = ExitCode::kInfeasible;
  }
  return command;
}

}  // namespace soapbox::runner
