#include "scenarios/runner/real_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "calib/runs/gpu_run.h"
#include "calib/runs/mixed_run.h"
#include "calib/runs/paced.h"
#include "calib/runs/two_clocks.h"
#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/find_row.h"
#include "sim/base/str.h"
#include "sim/engine/trace.h"

namespace soapbox::runner {
namespace {

// Long beside wake-ups of threads, short enough for nine repeats of twenty plans.
constexpr double kPacedIterationSeconds = 1;

constexpr std::array<std::string_view, 3> kLaunchNames = {"graph", "stream",
                                                          "wait"};  // by LaunchMode

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

Result<calib::KernelModule*> open_module(const std::string& name) {
  const std::string folder = std::filesystem::path(executable_path()).parent_path().string();
  return calib::open_kernel_module(name, folder);
}

Result<PreparedRun> prepare_mixed(const LoadedProblem& loaded, const Plan& plan,
                                  const Run& predicted, const calib::DeviceModules& modules,
                                  const RealRunSpec& spec, const Interrupt& interrupt) {
  calib::MixedRunSpec mixed;
  mixed.realtime = spec.realtime;
  mixed.interrupted = [&interrupt] { return interrupt.requested(); };
  Result<std::unique_ptr<calib::MixedRun>> run = calib::MixedRun::prepare(
      loaded.model(), loaded.cluster(), plan, predicted.lowered, modules, mixed);
  if (!run) return run.error();
  PreparedRun prepared;
  std::string libraries;
  for (calib::KernelModule* const module : modules) {
    if (libraries.find(module->library()) != std::string::npos) continue;
    libraries += str_cat(libraries.empty() ? "" : "; ", module->library());
  }
  prepared.settings = nlohmann::json{{"library", libraries}, {"realtime", spec.realtime}}.dump();
  const std::shared_ptr<const calib::MixedRun> shared(*std::move(run));
  prepared.run = [shared] { return shared->run(); };
  return prepared;
}

Result<PreparedRun> prepare_cpu(const LoadedProblem& loaded, const Plan& plan, const Run& predicted,
                                const RealRunSpec& spec, const Interrupt& interrupt) {
  const Result<calib::KernelModule*> module = open_module("cpu");
  if (!module) return module.error();
  const calib::DeviceModules modules(loaded.cluster().device_count(), *module);
  return prepare_mixed(loaded, plan, predicted, modules, spec, interrupt);
}

// A device of the catalogue with one compute unit is a core.
bool is_gpu(const Cluster& cluster, DeviceId device) {
  return cluster.hardware_of(device).sm_count > 1;
}

// The GPUs of a cluster are this machine's first ones, in order.
Result<calib::DeviceModules> modules_of(const Cluster& cluster, calib::KernelModule& first_gpu) {
  calib::DeviceModules modules;
  int64_t gpus = 0;
  for (const DeviceId device : cluster.devices().ids()) {
    const Result<calib::KernelModule*> module =
        is_gpu(cluster, device) ? first_gpu.of_gpu(gpus++) : open_module("cpu");
    if (!module) return module.error();
    modules.push_back(*module);
  }
  return modules;
}

// One GPU, or several devices, of which some may be cores.
Result<PreparedRun> prepare_cuda(const LoadedProblem& loaded, const Plan& plan,
                                 const Run& predicted, const RealRunSpec& spec,
                                 const Interrupt& interrupt) {
  const Result<calib::KernelModule*> gpu = open_module("cuda");
  if (!gpu) return gpu.error();
  const Cluster& cluster = loaded.cluster();
  if (cluster.device_count() > 1 || spec.launch == calib::LaunchMode::kWait) {
    const Result<calib::DeviceModules> modules = modules_of(cluster, **gpu);
    if (!modules) return modules.error();
    return prepare_mixed(loaded, plan, predicted, *modules, spec, interrupt);
  }
  Result<std::unique_ptr<calib::GpuRun>> run = calib::GpuRun::prepare(
      loaded.model(), cluster, plan, predicted.lowered, predicted.timeline, **gpu, spec.launch);
  if (!run) return run.error();
  PreparedRun prepared;
  prepared.settings = nlohmann::json{{"library", (*gpu)->library()},
                                     {"launch", kLaunchNames[static_cast<size_t>(spec.launch)]}}
                          .dump();
  const std::shared_ptr<const calib::GpuRun> shared(*std::move(run));
  prepared.run = [shared] { return shared->run(); };
  return prepared;
}

Status as_simulated(const LoadedProblem&, const Plan&, const RealRunSpec&, Run&, results::RunKey&) {
  return ok();
}

// Launched by the host, which is a clock of its own (calib/runs/two_clocks.h).
Status with_launches(const LoadedProblem& loaded, const Plan& plan, const RealRunSpec& spec,
                     Run& predicted, results::RunKey& key) {
  const bool one_device = loaded.cluster().device_count() == 1;
  if (spec.launch != calib::LaunchMode::kStream || !one_device) return ok();
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  const std::string& hardware = loaded.cluster().hardware_of(DeviceId(0)).name;
  const std::string path = str_cat(scenarios->root(), "/profiles/launches/", hardware, ".csv");
  Result<MeasuredTable> table = MeasuredTable::read(path, hardware);
  if (!table) return table.error();
  if (table->size() == 0) return bad_input("no launches", {path, 0, 0});
  const calib::LaunchTimes launches(*std::move(table));
  const auto parts = calib::make_task_parts(loaded.model(), plan, predicted.lowered);
  if (!parts) return parts.error();
  IdVector<TaskId, Duration> host;
  std::string text;
  for (const std::vector<calib::TaskPart>& some : *parts) {
    Duration& sum = host[host.push_back(Duration())];
    for (const calib::TaskPart& part : some) sum += launches.of(part);
    text += str_cat(sum.picoseconds(), " ");
  }
  predicted.timeline =
      calib::run_two_clocks(predicted.lowered.graph, calib::launch_order(predicted.timeline), host);
  Report& report = std::get<Report>(predicted.outcome);
  report.iteration_time = predicted.timeline.makespan - SimTime() + predicted.lowered.serial_sync;
  report.trace_hash = trace_hash(predicted.lowered.graph, predicted.timeline);
  nlohmann::json settings = nlohmann::json::parse(key.method.settings);
  settings["launches"] = hex(hash_bytes(text));
  key.method.settings = settings.dump();
  return ok();
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

// What was measured of it.
void add_tasks(const LoadedProblem& loaded, const Comparison& comparison,
               results::ExecutionRow& row) {
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
}

// The prediction goes into the database before anything runs.
Status store_prediction(const LoadedProblem& loaded, const NamedPlan& plan,
                        const results::RunKey& key, const Report& report, results::Store& store,
                        const Console& console) {
  Result<Execution> execution = execute_plan(loaded, plan.plan);
  if (!execution) return execution.error();
  if (!execution->infeasible.empty()) {
    return Error{ErrorCode::kInfeasible, str_cat(plan.name, ": ", execution->infeasible), {}};
  }
  execution->report = report;
  execution->search.improvements.front().iteration_time = report.iteration_time;
  const Result<results::PutOutcome> put =
      store.put(run_row(loaded, key, *execution, console.command_line));
  if (!put) return put.error();
  if (*put == results::PutOutcome::kDiffers) {
    return Error{ErrorCode::kDatabase, "the database has another prediction of the same plan", {}};
  }
  console.say(str_cat(plan.name, ": predicted ", report.iteration_time.seconds() * 1e3,
                      " ms, timeline ", hex(report.trace_hash), ", stored as run ",
                      results::identity(key)));
  return ok();
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

// A plan that takes its turns. Does not move: what was prepared refers to the prediction.
class PlanRun {
 public:
  static Result<std::unique_ptr<PlanRun>> prepare(const LoadedProblem& loaded,
                                                  const NamedPlan& plan, const BackendRow& backend,
                                                  const RealRunSpec& spec, results::Store& store,
                                                  const Interrupt& interrupt,
                                                  const Console& console) {
    const Status valid = check_plan(loaded.model().graph, loaded.cluster(), plan.plan);
    if (!valid) return valid.error();
    std::unique_ptr<PlanRun> run(
        new PlanRun(simulate(loaded.problem(), plan.plan, MemoryCheck::kRegardless), plan.key));
    Run& predicted = run->out_.predicted;
    const Status adjusted = backend.adjust(loaded, plan.plan, spec, predicted, run->key_);
    if (!adjusted) return adjusted.error();
    const Report& report = std::get<Report>(predicted.outcome);
    const Status stored = store_prediction(loaded, plan, run->key_, report, store, console);
    if (!stored) return stored.error();
    run->out_.predicted_time = report.iteration_time;
    run->out_.trace_hash = report.trace_hash;
    Result<PreparedRun> prepared = backend.prepare(loaded, plan.plan, predicted, spec, interrupt);
    if (!prepared) return prepared.error();
    run->prepared_ = *std::move(prepared);
    return run;
  }

  Status take_turn() {
    if (started_at_.empty()) started_at_ = utc_now();
    Result<calib::GraphRun> run = prepared_.run();
    if (!run) return run.error();
    const double took_s = static_cast<double>(run->makespan_ns) * 1e-9;
    double& half = out_.half_s[turns_ % 2];
    half = turns_ < 2 ? took_s : std::min(half, took_s);
    if (++turns_ == 1) out_.half_s[1] = took_s;
    if (!best_ || run->makespan_ns < best_->makespan_ns) best_ = *std::move(run);
    return ok();
  }

  Comparison compare() && {
    const Lowered& lowered = out_.predicted.lowered;
    out_.time_scale = prepared_.time_scale;
    out_.measured = calib::to_timeline(*best_, out_.time_scale);
    out_.measured_time = out_.measured.makespan - SimTime() + lowered.serial_sync;
    out_.lateness_p50_s = calib::lateness_s(lowered.graph, *best_, out_.time_scale, 0.5);
    out_.lateness_p99_s = calib::lateness_s(lowered.graph, *best_, out_.time_scale, 0.99);
    compare_tasks(out_);
    return std::move(out_);
  }

  const results::RunKey& key() const { return key_; }

  results::ExecutionRow header(const BackendRow& backend, const Console& console) const {
    results::ExecutionRow row;
    row.backend = backend.name;
    row.settings = prepared_.settings;
    row.repeats = turns_;
    row.started_at = started_at_;
    row.command = console.command_line;
    row.version = kVersion;
    row.host = host_name();
    return row;
  }

 private:
  PlanRun(Run predicted, results::RunKey key)
      : out_{.predicted = std::move(predicted)}, key_(std::move(key)) {}

  Comparison out_;
  results::RunKey key_;
  PreparedRun prepared_;
  std::string started_at_;
  int64_t turns_ = 0;
  std::optional<calib::GraphRun> best_;
};

}  // namespace

Result<calib::LaunchMode> read_launch(const Arguments& arguments) {
  const Result<std::string> launch = arguments.word("launch", kLaunchNames[0], kLaunchNames);
  if (!launch) return launch.error();
  const auto found = std::find(kLaunchNames.begin(), kLaunchNames.end(), *launch);
  return static_cast<calib::LaunchMode>(found - kLaunchNames.begin());
}

std::span<const BackendRow> backend_table() {
  static const std::array<BackendRow, 3> kBackends = {{
      {"cpu", "real kernels, a core for each device", as_simulated, prepare_cpu},
      {"cuda", "real kernels on GPUs, and on cores beside them", with_launches, prepare_cuda},
      {"paced", "threads that wait as long as each task should take", as_simulated, prepare_paced},
  }};
  return kBackends;
}

Result<const BackendRow*> find_backend(std::string_view name) {
  return find_row(backend_table(), "backend", name);
}

Result<std::vector<Comparison>> run_for_real(const LoadedProblem& loaded,
                                             std::span<const NamedPlan> plans,
                                             const BackendRow& backend, const RealRunSpec& spec,
                                             results::Store& store, const Interrupt& interrupt,
                                             const Console& console) {
  std::vector<Comparison> comparisons;
  while (comparisons.size() < plans.size()) {
    const std::span<const NamedPlan> rest = plans.subspan(comparisons.size());
    const std::span<const NamedPlan> some = rest.first(std::min(kPlansInTurn, rest.size()));
    std::vector<std::unique_ptr<PlanRun>> runs;
    for (const NamedPlan& plan : some) {
      auto run = PlanRun::prepare(loaded, plan, backend, spec, store, interrupt, console);
      if (!run) return run.error();
      runs.push_back(*std::move(run));
    }
    for (int64_t turn = 0; turn < spec.repeats; ++turn) {
      for (const auto& run : runs) {
        const Status done = run->take_turn();
        if (!done) return done.error();
      }
    }
    for (size_t i = 0; i < runs.size(); ++i) {
      results::ExecutionRow row = runs[i]->header(backend, console);
      comparisons.push_back(std::move(*runs[i]).compare());
      add_tasks(loaded, comparisons.back(), row);
      const Status stored = store.put_execution(results::identity(runs[i]->key()), row);
      if (!stored) return stored.error();
    }
  }
  return comparisons;
}

}  // namespace soapbox::runner
