#include "scenarios/runner/problem.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "scenarios/runner/fingerprint.h"
#include "scenarios/runner/run_factors_file.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/profile_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kMostDevices = 1 << 20;

// Of the hardware in the cluster; what has none costs what its datasheet says.
Result<std::map<std::string, Profile>> load_profiles(const ScenarioFolder& scenarios,
                                                     const Cluster& cluster) {
  std::map<std::string, Profile> profiles;
  const std::vector<std::string> known = scenarios.names(kProfileFiles);
  for (const Hardware& hardware : cluster.hardware()) {
    if (std::find(known.begin(), known.end(), hardware.name) == known.end()) continue;
    const Result<std::string> path = scenarios.path(kProfileFiles, hardware.name);
    if (!path) return path.error();
    Result<Profile> profile = read_profile(*path);
    if (!profile) return profile.error();
    profiles.emplace(hardware.name, *std::move(profile));
  }
  return profiles;
}

Status read_slowdowns(const Arguments& arguments, SimulationOptions& options) {
  const auto read = [&](std::string_view option, double& factor) -> Status {
    const auto given = arguments.number(option, 1, kMostSlowdown);
    if (!given) return given.error();
    if (*given && options.network != NetworkModel::kFair) {
      return usage_error(str_cat("--", option, " needs --network fair"));
    }
    factor = given->value_or(1);
    return ok();
  };
  const Status compute = read("compute-slowdown", options.compute_slowdown);
  if (!compute) return compute;
  return read("communication-slowdown", options.communication_slowdown);
}

}  // namespace

LoadedProblem::LoadedProblem(LoadedModel model, Cluster cluster, Costs costs,
                             SimulationOptions options)
    : model_(std::move(model.model)),
      cluster_(std::move(cluster)),
      costs_(std::move(costs)),
      problem_{model_, cluster_, costs_, options},
      fingerprint_(runner::fingerprint(problem_)),
      notes_(std::move(model.notes)) {}

namespace {

// A folder that says nothing of it, as a calibration's, reserves nothing.
Result<Bytes> reserved_of(const ScenarioFolder& scenarios, const Cluster& cluster) {
  if (!std::filesystem::exists(scenarios.run_factors())) return Bytes(0);
  const Result<RunFactorTable> factors = RunFactorTable::read(scenarios.run_factors());
  if (!factors) return factors.error();
  return factors->of(cluster.hardware()[HardwareId(0)].name).reserved;
}

}  // namespace

Result<std::unique_ptr<const LoadedProblem>> LoadedProblem::load(const ScenarioFolder& scenarios,
                                                                 const ProblemSpec& spec) {
  // The cheap refusals first: a misspelt model should not wait for a large cluster's routes.
  if (Status known = check_model_name(scenarios, spec.model); !known) return known.error();
  std::optional<size_t> devices;
  if (spec.devices) devices = static_cast<size_t>(*spec.devices);
  Result<Cluster> cluster = load_cluster(scenarios, spec.cluster, devices);
  if (!cluster) return cluster.error();
  Result<LoadedModel> model =
      load_model(scenarios, spec.model, {spec.batch, static_cast<int64_t>(cluster->device_count())},
                 spec.seq_len);
  if (!model) return model.error();
  const Result<std::map<std::string, Profile>> profiles = load_profiles(scenarios, *cluster);
  if (!profiles) return profiles.error();
  Result<Costs> costs = Costs::make(model->model, *cluster, *profiles);
  if (!costs) return costs.error();
  const Result<Bytes> reserved = reserved_of(scenarios, *cluster);
  if (!reserved) return reserved.error();
  SimulationOptions options = spec.simulation;
  options.reserved = *reserved;
  return std::unique_ptr<const LoadedProblem>(
      new LoadedProblem(*std::move(model), *std::move(cluster), *std::move(costs), options));
}

Result<ScenarioFolder> find_scenarios() {
  ScenarioFolder::Places places;
  // Read once, before any thread is started. NOLINTNEXTLINE(concurrency-mt-unsafe)
  if (const char* folder = std::getenv("SOAPBOX_SCENARIOS")) places.environment = folder;
  places.executable = executable_path();
  return ScenarioFolder::find(places);
}

Result<std::unique_ptr<const LoadedProblem>> load_problem(const ProblemSpec& spec,
                                                          const Console& console) {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  auto loaded = LoadedProblem::load(*scenarios, spec);
  if (loaded) say_notes(console, spec.model, (*loaded)->notes());
  return loaded;
}

void say_notes(const Console& console, const std::string& model,
               const std::vector<std::string>& notes) {
  for (const std::string& note : notes) console.say(str_cat(model, ": ", note));
}

std::vector<Option> problem_options() {
  return {
      {"model", "NAME|FILE", "the DNN; see 'soapbox list models'"},
      {"cluster", "NAME|FILE", "the cluster; see 'soapbox list clusters'"},
      {"devices", "N", "only the first N devices, filling nodes"},
      {"batch", "N",
       "samples per iteration, all devices together (default: the paper's per device)"},
      {"network", "NAME", "network model (default fifo); see 'soapbox list networks'"},
      {"compute-slowdown", "F",
       "with --network fair: computing takes F >= 1 times longer while its device communicates"},
      {"communication-slowdown", "F",
       "with --network fair: transfers get 1/F of their rate while an end of them computes"}};
}

Option sync_option() {
  return {"sync", "MODE",
          "gradients: serial, parameter_server, bulk or overlapped (default, or the plan's)"};
}

Result<ProblemSpec> read_problem_options(const Arguments& arguments) {
  ProblemSpec spec;
  const Result<std::string> model = arguments.required("model");
  if (!model) return model.error();
  spec.model = *model;
  const Result<std::string> cluster = arguments.required("cluster");
  if (!cluster) return cluster.error();
  spec.cluster = *cluster;
  const Result<std::optional<int64_t>> devices = read_devices(arguments);
  if (!devices) return devices.error();
  spec.devices = *devices;
  const auto batch = arguments.whole_number("batch", 1, kMostSamples);
  if (!batch) return batch.error();
  spec.batch = *batch;
  const auto seq_len = arguments.whole_number("seq-len", 1, kMostTokens);
  if (!seq_len) return seq_len.error();
  spec.seq_len = *seq_len;
  const Result<NetworkModel> network = arguments.parsed("network", "fifo", parse_network_model);
  if (!network) return network.error();
  spec.simulation.network = *network;
  const Status slowdowns = read_slowdowns(arguments, spec.simulation);
  if (!slowdowns) return slowdowns.error();
  return spec;
}

Result<std::optional<int64_t>> read_devices(const Arguments& arguments) {
  return arguments.whole_number("devices", 1, kMostDevices);
}

Result<std::optional<SyncMode>> read_sync(const Arguments& arguments) {
  if (!arguments.has("sync")) return std::optional<SyncMode>();
  const Result<SyncMode> sync = arguments.parsed("sync", "", parse_sync_mode);
  if (!sync) return sync.error();
  return std::optional<SyncMode>(*sync);
}

}  // namespace soapbox::runner
