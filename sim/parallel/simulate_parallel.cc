#include "sim/parallel/simulate_parallel.h"

#include <algorithm>
#include <optional>

#include "sim/base/str.h"
#include "sim/engine/trace.h"

namespace soapbox {
namespace {

// How the time of the simulated ranks divides, in rank-seconds.
struct TimeShares {
  Duration busy;     // kernels run
  Duration exposed;  // none runs, and the next one waits for traffic of its own stage
  Duration longest;  // of any rank, from its first task to the end of its last
};

bool is_traffic(ParallelTaskKind kind) {
  return kind == ParallelTaskKind::kExchange || kind == ParallelTaskKind::kGather ||
         kind == ParallelTaskKind::kReduce;
}

// By task: whether the predecessor that it was ready after is traffic of its own stage.
std::vector<char> waits_for_traffic(const ParallelRun& run) {
  const TaskGraph& graph = run.lowered.graph;
  std::vector<char> waits(graph.task_count());
  for (const TaskId task : id_range<TaskId>(graph.task_count())) {
    if (!is_traffic(run.lowered.tasks[task].kind)) continue;
    for (const TaskId next : graph.successors(task)) {
      if (run.timeline.ready[next] == run.timeline.end[task]) waits[next.index()] = 1;
    }
  }
  return waits;
}

TimeShares time_shares(const ParallelRun& run) {
  const std::vector<char> waits = waits_for_traffic(run);
  struct Rank {
    std::optional<SimTime> first;  // task, of kernels or traffic
    SimTime last;
    SimTime kernel_end;  // of the latest one so far
  };
  std::vector<Rank> ranks(static_cast<size_t>(run.lowered.stages * run.lowered.ranks_per_stage));
  TimeShares shares;
  for (const TaskId task : id_range<TaskId>(run.lowered.graph.task_count())) {
    const uint32_t resource = run.lowered.graph.resource(task).value();
    const bool kernels = resource % ParallelLowered::kResourcesPerRank == 0;
    if (!kernels && !is_traffic(run.lowered.tasks[task].kind)) continue;
    Rank& rank = ranks[resource / ParallelLowered::kResourcesPerRank];
    const SimTime start = run.timeline.start[task];
    rank.first = std::min(rank.first.value_or(start), start);
    rank.last = std::max(rank.last, run.timeline.end[task]);
    if (!kernels) continue;
    if (waits[task.index()] != 0) shares.exposed += start - rank.kernel_end;
    rank.kernel_end = run.timeline.end[task];
    shares.busy += run.lowered.graph.duration(task);
  }
  for (const Rank& rank : ranks) {
    if (rank.first) shares.longest = std::max(shares.longest, rank.last - *rank.first);
  }
  return shares;
}

// The longest chain of tasks. A rank's kernels are a chain, so this is also its work.
Duration critical_path(const TaskGraph& graph) {
  IdVector<TaskId, Duration> earliest(graph.task_count());
  Duration longest;
  for (const TaskId task : id_range<TaskId>(graph.task_count())) {
    const Duration end = earliest[task] + graph.duration(task);
    longest = std::max(longest, end);
    for (const TaskId next : graph.successors(task)) {
      earliest[next] = std::max(earliest[next], end);
    }
  }
  return longest;
}

Duration longest_work(const ParallelLowered& lowered) {
  std::vector<Duration> work(lowered.graph.resource_count());
  for (const TaskId task : id_range<TaskId>(lowered.graph.task_count())) {
    work[lowered.graph.resource(task).index()] += lowered.graph.duration(task);
  }
  return *std::max_element(work.begin(), work.end());
}

// Of the units that multiply a type: where the device has none for it, those of fp32.
double peak_flops(const Hardware& hardware, DataType type) {
  const auto best_of = [&](auto... units) {
    return std::max({hardware.fp32_peak.rate(), units.rate()...});
  };
  switch (type) {
    case DataType::kFp4:
      return best_of(hardware.fp4_peak, hardware.fp8_peak, hardware.bf16_peak);
    case DataType::kFp8:
      return best_of(hardware.fp8_peak, hardware.bf16_peak);
    case DataType::kBf16:
      return best_of(hardware.bf16_peak, hardware.fp16_peak);
    case DataType::kFp16:
      return best_of(hardware.fp16_peak);
    case DataType::kTf32:
      return best_of(hardware.tf32_peak);
    default:
      return best_of();
  }
}

// Bytes that a rank exchanges in one pass of each kind over a layer.
double exchanged_bytes(const LayerWork& work) {
  double bytes = 0;
  for (const auto* steps : {&work.forward, &work.recompute, &work.backward}) {
    for (const Step& step : *steps) {
      if (const auto* exchange = std::get_if<Exchange>(&step.what)) bytes += exchange->bytes;
    }
  }
  return bytes;
}

Bytes communication(const StageCosts& costs) {
  double bytes = 0;
  const ParallelPlan& plan = costs.plan;
  const auto passes = static_cast<double>(plan.microbatches);
  for (size_t l = 0; l < costs.work.size(); ++l) {
    const RankLayout layout = costs.layout(l);
    const double ranks = layout.rank_count();
    bytes += ranks * passes * exchanged_bytes(costs.work[l]);
    if (layout.replicas() == 1) continue;
    const int32_t zero = plan.strategy(l).zero_stage;
    const double uses = zero == 3 ? passes : 1;
    const double moved =
        static_cast<double>(size_bytes(plan.precision.gradients)) +
        (zero == 0
             ? 0
             : (zero == 3 ? 2 : 1) * static_cast<double>(size_bytes(plan.precision.parameters)));
    bytes += ranks * uses * moved *
             static_cast<double>(costs.work[l].dense_parameters + costs.work[l].expert_parameters);
  }
  for (int32_t position = 0; position + 1 < plan.stage_count(); ++position) {
    const size_t last = costs.last_layer(position) - 1;
    bytes += 2 * passes * costs.layout(last).rank_count() *
             static_cast<double>(costs.work[last].output_bytes);
  }
  return Bytes(static_cast<int64_t>(bytes));
}

std::string provenance(const StageCosts& costs) {
  Provenance worst = Provenance::kMeasured;
  for (const LayerCost& layer : costs.layers.front()) worst = std::max(worst, layer.worst);
  return str_cat(to_string(worst), ": kernels of ",
                 costs.problem.cluster.hardware()[HardwareId(0)].name,
                 "; collectives: ", costs.problem.groups.source());
}

Report report_of(const StageCosts& costs, const ParallelRun& run) {
  const ParallelPlan& plan = costs.plan;
  const Cluster& cluster = costs.problem.cluster;
  const TimeShares shares = time_shares(run);
  const bool overlapping = splits_backward(plan.schedule);
  const Duration overhead = costs.problem.factors.step_overhead;
  Report report;
  report.iteration_time =
      (overlapping ? shares.longest : run.timeline.makespan - SimTime()) + overhead;
  const double seconds = report.iteration_time.seconds();
  const LayerStrategy& first = plan.strategies.front();
  const double batch =
      static_cast<double>(plan.microbatch * plan.microbatches) * first.data_parallel;
  const auto devices = static_cast<double>(cluster.device_count());
  double low = 0, high = 0, total = 0;
  for (const LayerCost& layer : costs.layers.front()) {
    low += layer.low_s;
    high += layer.high_s;
    total += layer.total_s;
  }
  if (total > 0) {
    report.low = from_seconds(seconds * std::max(0.0, 1 - low / total));
    report.high = from_seconds(seconds * (1 + high / total));
  }
  report.memory = run.memory[fullest_stage(run.memory)].peak;
  report.available_memory =
      cluster.hardware()[HardwareId(0)].memory - costs.problem.factors.reserved;
  const double ranks = run.lowered.stages * run.lowered.ranks_per_stage;
  report.exposed_communication = from_seconds(shares.exposed.seconds() / ranks);
  if (seconds > 0) {
    report.samples_per_s = batch / seconds;
    report.samples_per_s_per_device = report.samples_per_s / devices;
    report.mfu = costs.problem.model.model_flops_per_sample() * report.samples_per_s_per_device /
                 peak_flops(cluster.hardware()[HardwareId(0)], plan.precision.compute);
    report.bubble_fraction =
        std::max(0.0, 1 - (shares.busy.seconds() + shares.exposed.seconds()) / ranks / seconds);
  }
  report.communication = communication(costs);
  report.network = report.communication;
  report.compute_total = from_seconds(shares.busy.seconds() / ranks * devices);
  const Duration path = critical_path(run.lowered.graph);
  report.lower_bound = overlapping ? longest_work(run.lowered) : path;
  report.lower_bound += overhead;
  report.lower_bound_kind = overlapping ? "work" : "critical_path";
  report.tasks = run.lowered.graph.task_count();
  report.events = run.timeline.events;
  report.provenance = provenance(costs);
  report.trace_hash = trace_hash(run.lowered.graph, run.timeline);
  return report;
}

}  // namespace

ParallelRun simulate_parallel(const ParallelProblem& problem, const ParallelPlan& plan,
                              const ParallelOptions& options) {
  const StageCosts costs(problem, plan);
  const PassOrder order = make_pass_order(costs.pipeline());
  ParallelRun run;
  run.memory = memory_of(costs, order);
  if (options.check_memory) {
    if (std::optional<Infeasible> reason = out_of_memory(problem, plan, run.memory)) {
      run.outcome = *std::move(reason);
      return run;
    }
  }
  run.lowered = lower_parallel(costs, order, options.fold && can_fold(problem.cluster));
  FifoEngine().run(run.lowered.graph, run.timeline);
  run.outcome = report_of(costs, run);
  return run;
}

}  // namespace soapbox
