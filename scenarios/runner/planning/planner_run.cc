#include "scenarios/runner/planning/planner_run.h"

#include <nlohmann/json.hpp>

#include "scenarios/runner/code_fingerprint.h"
#include "scenarios/runner/execution.h"

namespace soapbox::runner {
namespace {

namespace uniap = strategies::uniap;

// Sorted keys, no spaces; what is as usual is left out.
std::string canonical_settings(const PlannerSearchSpec& spec) {
  nlohmann::json settings = nlohmann::json::object();
  settings["cost_model"] = spec.own_cost_model ? "own" : "soapbox";
  settings["precision"] = static_cast<int>(spec.problem.costs.precision.compute);
  if (spec.stages) settings["pp"] = *spec.stages;
  if (spec.microbatches) settings["microbatches"] = *spec.microbatches;
  if (spec.oracle) settings["oracle"] = spec.oracle->samples;
  if (spec.cpu_limit_s != PlannerSearchSpec{}.cpu_limit_s)
    settings["cpu_limit_s"] = spec.cpu_limit_s;
  const uniap::TableOptions& t = spec.tables;
  if (t.activation_factor != 1) settings["activation_factor"] = t.activation_factor;
  settings["tables"] = {static_cast<int>(t.gradient_sync),
                        static_cast<int>(t.transfers),
                        static_cast<int>(t.backward),
                        static_cast<int>(t.memory),
                        static_cast<int>(t.overlap),
                        static_cast<int>(t.gathers),
                        t.compute_slowdown,
                        t.traffic_slowdown};
  return settings.dump();
}

}  // namespace

results::RunKey planner_run_key(const PlannerSearchSpec& spec, const PlannerProblem& loaded) {
  return {.instance = {.model = loaded.model().name,
                       .cluster = loaded.cluster().name(),
                       .devices = static_cast<int64_t>(loaded.cluster().device_count()),
                       .batch = spec.global_batch,
                       .network = "transformer",
                       .costs = loaded.fingerprint()},
          .method = {spec.method, canonical_settings(spec)},
          .seed = spec.oracle ? spec.oracle->seed : 0,
          .budget = 0,
          .code = code_fingerprint()};
}

results::RunRow planner_run_row(const PlannerSearchSpec& spec, results::RunKey key,
                                const PlannerSearchOutcome& outcome, double wall_s,
                                const std::string& command_line) {
  results::RunRow row;
  row.key = std::move(key);
  row.status = results::RunStatus::kInfeasible;
  if (const Report* report = outcome.report()) {
    row.status = results::RunStatus::kOk;
    const double iteration_s = report->iteration_time.seconds();
    row.best = {.iteration_time = report->iteration_time,
                .samples_per_s = static_cast<double>(spec.global_batch) / iteration_s,
                .communication = report->communication,
                .trace_hash = report->trace_hash};
    row.best_at_evaluation = 1;
    row.improvements = {{1, report->iteration_time, 0}};
    row.provenance = report->provenance;
    row.note = outcome.unified.proven ? "proven optimal under its cost model" : "planned";
  } else {
    row.note = planner_failure(outcome);
  }
  row.evaluations = 1;
  row.cpu_s = outcome.unified.table_cpu_s + outcome.unified.search_cpu_s;
  row.wall_s = wall_s;
  row.started_at = utc_now();
  row.command = command_line;
  row.version = kVersion;
  row.host = host_name();
  row.plan = planner_record(spec, outcome, results::Format::kJsonl);
  while (!row.plan.empty() && row.plan.back() == '\n') row.plan.pop_back();
  return row;
}

}  // namespace soapbox::runner
