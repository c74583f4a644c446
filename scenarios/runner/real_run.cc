#include "scenarios/runner/real_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "calib/cpu_run.h"
#include "calib/gpu_run.h"
#include "calib/paced.h"
#include "scenarios/runner/scenario_files.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

// Long beside wake-ups of threads, short enough for nine repeats of twenty plans.
constexpr double kPacedIterationSeconds = 1;

Result<PreparedRun> prepare_paced(const LoadedProblem& loaded, const Plan&, const Run& predicted,
                                  const RealRunSpec& spec, const Interrupt& interrupt) {
  const TaskGraph& graph = predicted.lowered.graph;
  const double simulated_s = (predicted.timeline.makespan - SimTime()).seconds();
  PreparedRun prepared;
  prepared.time_scale = spec.time_scale.value_or(kPacedIterationSeconds / simulated_s);
  calib::PacedSpec paced;
  paced.time_scale = prepared.time_scale;
  paced.interrupted = [&interrupt] { return interrupt.requested(); };
  if (spec.tcp_links) {
    const Cluster& cluster = loaded.cluster();
    paced.tcp_bandwidths.resize(resource_count(cluster));
    for (const LinkId link : cluster.links().ids()) {
      paced.tcp_bandwidths[link_resource(cluster, link)] = cluster.links()[link].bandwidth;
    }
  }
  prepared.settings = nlohmann::json{{"links", spec.tcp_links ? "tcp" : "timed"},
                                     {"time_scale", prepared.time_scale}}
                          .dump();
  prepared.run = [paced, &graph] { return calib::run_paced(graph, paced); };
  return prepared;
}

Result<PreparedRun> prepare_cpu(const LoadedProblem& loaded, const Plan& plan, const Run& predicted,
                                const RealRunSpec& spec, const Interrupt& interrupt) {
  const std::string folder = std::filesystem::path(executable_path()).parent_path().string();
  const Result<calib::KernelModule*> module = calib::open_kernel_module("cpu", folder);
  if (!module) return module.error();
  calib::CpuRunSpec cpu;
  cpu.realtime = spec.realtime;
  cpu.interrupted = [&interrupt] { return interrupt.requested(); };
  Result<std::unique_ptr<calib::CpuRun>> run = calib::CpuRun::prepare(
      loaded.model(), loaded.cluster(), plan, predicted.lowered, **module, cpu);
  if (!run) return run.error();
  PreparedRun prepared;
  prepared.settings =
      nlohmann::json{{"library", (*module)->library()}, {"realtime", spec.realtime}}.dump();
  const std::shared_ptr<const calib::CpuRun> shared(*std::move(run));
  prepared.run = [shared] { return shared->run(); };
  return prepared;
}

Result<PreparedRun> prepare_cuda(const LoadedProblem& loaded, const Plan& plan,
                                 const Run& predicted, const RealRunSpec& spec, const Interrupt&) {
  const std::string folder = std::filesystem::path(executable_path()).parent_path().string();
  const Result<calib::KernelModule*> module = calib::open_kernel_module("cuda", folder);
  if (!module) return module.error();
  Result<std::unique_ptr<calib::GpuRun>> run =
      calib::GpuRun::prepare(loaded.model(), loaded.cluster(), plan, predicted.lowered,
                             predicted.timeline, **module, spec.launch);
  if (!run) return run.error();
  PreparedRun prepared;
  prepared.settings =
      nlohmann::json{{"library", (*module)->library()},
                     {"launch", spec.launch == calib::LaunchMode::kGraph ? "graph" : "stream"}}
          .dump();
  const std::shared_ptr<const calib::GpuRun> shared(*std::move(run));
  prepared.run = [shared] { return shared->run(); };
  return prepared;
}

std::string place_of(const LoadedProblem& loaded, ResourceId resource) {
  const Cluster& cluster = loaded.cluster();
  if (resource.index() < cluster.device_count()) {
    return cluster.device_name(DeviceId::from_index(resource.index()));
  }
  const size_t link = resource.index() - cluster.device_count();
  if (link >= cluster.links().size()) return "";
  const Link& joins = cluster.links()[LinkId::from_index(link)];
  return str_cat(cluster.vertices()[joins.from].name, " to ", cluster.vertices()[joins.to].name);
}

results::ExecutionRow execution_row(const LoadedProblem& loaded, const Comparison& comparison) {
  results::ExecutionRow row;
  row.iteration_time = comparison.measured_time;
  row.lateness_p99_s = comparison.lateness_p99_s;
  const Lowered& lowered = comparison.predicted.lowered;
  const Timeline& predicted = comparison.predicted.timeline;
  for (const TaskId task : lowered.labels.ids()) {
    row.tasks.push_back({to_string(lowered.labels[task].kind),
                         place_of(loaded, lowered.graph.resource(task)), predicted.start[task],
                         predicted.end[task], comparison.measured.start[task],
                         comparison.measured.end[task]});
  }
  return row;
}

// The prediction goes into the database before anything runs.
Result<Duration> store_prediction(const LoadedProblem& loaded, const NamedPlan& plan,
                                  results::Store& store, const Console& console) {
  const Result<Execution> execution = execute_plan(loaded, plan.plan);
  if (!execution) return execution.error();
  const Result<results::PutOutcome> put =
      store.put(run_row(loaded, plan.key, *execution, console.command_line));
  if (!put) return put.error();
  if (*put == results::PutOutcome::kDiffers) {
    return Error{ErrorCode::kDatabase, "the database has another prediction of the same plan", {}};
  }
  console.say(str_cat(plan.name, ": predicted ", execution->report.iteration_time.seconds() * 1e3,
                      " ms, timeline ", hex(execution->report.trace_hash), ", stored as run ",
                      results::identity(plan.key)));
  return execution->report.iteration_time;
}

void compare_tasks(Comparison& comparison) {
  const Timeline& predicted = comparison.predicted.timeline;
  const double iteration_s = comparison.measured_time.seconds();
  for (const TaskId task : predicted.end.ids()) {
    const double apart =
        std::fabs(predicted.end[task].seconds() - comparison.measured.end[task].seconds()) /
        iteration_s;
    comparison.task_error_mean += apart / static_cast<double>(predicted.end.size());
    comparison.task_error_worst = std::max(comparison.task_error_worst, apart);
  }
}

Result<calib::GraphRun> fastest_of(const PreparedRun& prepared, int64_t repeats) {
  std::optional<calib::GraphRun> best;
  for (int64_t repeat = 0; repeat < repeats; ++repeat) {
    Result<calib::GraphRun> run = prepared.run();
    if (!run) return run.error();
    if (!best || run->makespan_ns < best->makespan_ns) best = *std::move(run);
  }
  return *std::move(best);
}

}  // namespace

Result<calib::LaunchMode> read_launch(const Arguments& arguments) {
  const std::string launch = arguments.text_or("launch", "graph");
  if (launch == "graph") return calib::LaunchMode::kGraph;
  if (launch == "stream") return calib::LaunchMode::kStream;
  const std::vector<std::string> known = {"graph", "stream"};
  return usage_error(unknown_name("--launch", launch, known));
}

std::span<const BackendRow> backend_table() {
  static const std::array<BackendRow, 3> kBackends = {{
      {"cpu", "real kernels, a core for each device", prepare_cpu},
      {"cuda", "real kernels on one GPU", prepare_cuda},
      {"paced", "threads that wait as long as each task should take", prepare_paced},
  }};
  return kBackends;
}

Result<const BackendRow*> find_backend(std::string_view name) {
  std::vector<std::string> known;
  for (const BackendRow& row : backend_table()) {
    if (row.name == name) return &row;
    known.emplace_back(row.name);
  }
  return usage_error(unknown_name("--backend", name, known));
}

Result<Comparison> run_for_real(const LoadedProblem& loaded, const NamedPlan& plan,
                                const BackendRow& backend, const RealRunSpec& spec,
                                results::Store& store, const Interrupt& interrupt,
                                const Console& console) {
  const Result<Duration> predicted_time = store_prediction(loaded, plan, store, console);
  if (!predicted_time) return predicted_time.error();
  Comparison comparison{.predicted = simulate(loaded.problem(), plan.plan)};
  comparison.predicted_time = *predicted_time;
  comparison.trace_hash = std::get<Report>(comparison.predicted.outcome).trace_hash;
  const Result<PreparedRun> prepared =
      backend.prepare(loaded, plan.plan, comparison.predicted, spec, interrupt);
  if (!prepared) return prepared.error();
  const std::string started_at = utc_now();
  const Result<calib::GraphRun> run = fastest_of(*prepared, spec.repeats);
  if (!run) return run.error();
  const Lowered& lowered = comparison.predicted.lowered;
  comparison.time_scale = prepared->time_scale;
  comparison.measured = calib::to_timeline(*run, prepared->time_scale);
  comparison.measured_time = comparison.measured.makespan - SimTime() + lowered.serial_sync;
  comparison.lateness_p50_s = calib::lateness_s(lowered.graph, *run, prepared->time_scale, 0.5);
  comparison.lateness_p99_s = calib::lateness_s(lowered.graph, *run, prepared->time_scale, 0.99);
  compare_tasks(comparison);
  results::ExecutionRow row = execution_row(loaded, comparison);
  row.backend = backend.name;
  row.settings = prepared->settings;
  row.repeats = spec.repeats;
  row.started_at = started_at;
  row.command = console.command_line;
  row.version = kVersion;
  row.host = host_name();
  const Status stored = store.put_execution(results::identity(plan.key), row);
  if (!stored) return stored.error();
  return comparison;
}

}  // namespace soapbox::runner
