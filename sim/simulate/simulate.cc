#include "sim/simulate/simulate.h"

#include "sim/engine/trace.h"
#include "sim/simulate/lower_bound.h"

namespace soapbox {

Network shared_network(const Cluster& cluster, const SimulationOptions& options) {
  Network network(resource_count(cluster));
  for (const DeviceId device : cluster.devices().ids()) {
    network[compute_resource(device)].task_slowdown = options.compute_slowdown;
    network[compute_resource(device)].flow_slowdown = options.communication_slowdown;
  }
  for (const LinkId link : cluster.links().ids()) {
    network[link_resource(cluster, link)].bandwidth = cluster.links()[link].bandwidth;
  }
  return network;
}

Run simulate(const Problem& problem, const Plan& plan, MemoryCheck check) {
  const NetworkModel network = problem.options.network;
  const OpGraph& operators = problem.model.graph;
  const PlanBlocks blocks =
      make_plan_blocks(operators, problem.cluster, problem.costs, plan, network);
  Run run{lower(problem.model, problem.cluster, plan, network, blocks), {}, {}, {}, Report{}};
  const TaskGraph& graph = run.lowered.graph;
  if (network == NetworkModel::kFair) {
    FlowEngine().run(graph, shared_network(problem.cluster, problem.options), run.timeline);
  } else {
    FifoEngine().run(graph, run.timeline);
  }

  run.memory = memory_of(operators, problem.cluster, plan, blocks, run.lowered, run.timeline);
  run.peaks = peak_memory(run.memory);
  if (check == MemoryCheck::kRefuse) {
    if (auto reason = out_of_memory(problem.cluster, problem.options.reserved, run.peaks)) {
      run.outcome = *std::move(reason);
      return run;
    }
  }

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
  const LowerBound bound = lower_bound(operators, problem.cluster, plan, network, blocks);
  report.lower_bound = bound.value + run.lowered.serial_sync;
  report.lower_bound_kind = to_string(bound.kind);
  report.tasks = graph.task_count();
  report.events = run.timeline.events;
  const DeviceId fullest = fullest_device(problem.cluster, run.peaks);
  report.memory = run.peaks[fullest];
  report.available_memory = problem.cluster.hardware_of(fullest).memory - problem.options.reserved;
  report.provenance = problem.costs.provenance_text();
  report.trace_hash = trace_hash(graph, run.timeline);
  run.outcome = std::move(report);
  return run;
}

}  // namespace soapbox
