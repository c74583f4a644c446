#include "sim/simulate/simulate.h"

#include "sim/base/str.h"
#include "sim/engine/trace.h"

namespace soapbox {

std::string to_string(NetworkModel network) {
  switch (network) {
    case NetworkModel::kFifo:
      return "fifo";
  }
  return "?";
}

Result<NetworkModel> parse_network_model(std::string_view text) {
  static const std::vector<std::string> kKnown = {"fifo"};
  if (text == "fifo") return NetworkModel::kFifo;
  return bad_input(unknown_name("network model", text, kKnown));
}

Run simulate(const Problem& problem, const Plan& plan) {
  Run run{lower(problem.model, problem.cluster, problem.costs, plan), {}, Report{}};
  const TaskGraph& graph = run.lowered.graph;
  FifoEngine().run(graph, run.timeline);

  Report report;
  report.iteration_time = run.timeline.makespan - SimTime() + run.lowered.serial_sync;
  const double seconds = report.iteration_time.seconds();
  if (seconds > 0) report.samples_per_s = static_cast<double>(problem.model.batch) / seconds;
  report.samples_per_s_per_device =
      report.samples_per_s / static_cast<double>(problem.cluster.device_count());
  report.communication = run.lowered.communication;
  report.network = run.lowered.network;
  report.compute_total = run.lowered.compute_total;
  report.busy.assign(problem.cluster.device_count(), Duration());
  for (const TaskId task : id_range<TaskId>(graph.task_count())) {
    const size_t resource = graph.resource(task).index();
    if (resource < report.busy.size()) {
      report.busy[DeviceId::from_index(resource)] += graph.duration(task);
    }
  }
  report.tasks = graph.task_count();
  report.events = run.timeline.events;
  report.provenance = problem.costs.provenance_text();
  report.trace_hash = trace_hash(graph, run.timeline);
  run.outcome = std::move(report);
  return run;
}

}  // namespace soapbox
