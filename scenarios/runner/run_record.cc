#include "scenarios/runner/run_record.h"

#include "sim/base/str.h"

namespace soapbox::runner {

void add_memory(Record& record, const Report& report, const std::string& reason) {
  record.add("feasible", reason.empty());
  record.add("reason", reason);
  record.add("peak_memory_bytes", report.memory.total().count());
  results::Cell::Counts components;
  for (const auto& [name, bytes] : components_of(report.memory)) {
    components.emplace_back(name, bytes.count());
  }
  record.add("memory_by_component", std::move(components));
  record.add("available_memory_bytes", report.available_memory.count());
}

void add_simulated_figures(Record& record, const Report& report) {
  record.add("compute_s_total", report.compute_total.seconds());
  record.add("lower_bound_s", report.lower_bound.seconds());
  record.add("lower_bound_kind", report.lower_bound_kind);
  record.add("gap", report.gap());
  record.add("tasks", report.tasks);
  record.add("events", report.events);
  record.add("trace_hash", hex(report.trace_hash));
  record.add("provenance", report.provenance);
}

Record simulation_record(const LoadedProblem& loaded, const std::string& method,
                         const Execution& execution) {
  const Report& report = execution.report;
  Record record;
  record.add("model", loaded.model().name);
  record.add("cluster", loaded.cluster().name());
  record.add("devices", loaded.cluster().device_count());
  record.add("batch", loaded.model().batch);
  record.add("method", method);
  record.add("sync", to_string(execution.plan.sync));
  record.add("network", to_string(loaded.problem().options.network));
  if (loaded.problem().options.network == NetworkModel::kFair) {
    record.add("compute_slowdown", loaded.problem().options.compute_slowdown);
    record.add("communication_slowdown", loaded.problem().options.communication_slowdown);
  }
  add_memory(record, report, execution.infeasible);
  record.add("iteration_time_s", report.iteration_time.seconds());
  record.add("samples_per_s", report.samples_per_s);
  record.add("samples_per_s_per_device", report.samples_per_s_per_device);
  record.add("communication_bytes", report.communication.count());
  record.add("network_bytes", report.network.count());
  add_simulated_figures(record, report);
  return record;
}

Record search_record(const LoadedProblem& loaded, const MethodSpec& method, uint64_t seed,
                     const Execution& execution) {
  Record record = simulation_record(loaded, method.name, execution);
  record.add("seed", seed);
  record.add("budget", method.budget);
  record.add("evaluations", execution.search.evaluations);
  record.add("best_at_evaluation", execution.search.best_at_evaluation);
  record.add("search_cpu_s", execution.search.cpu_s);
  record.add("stop_reason", execution.search.stop_reason);
  return record;
}

}  // namespace soapbox::runner
