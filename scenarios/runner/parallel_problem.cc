#include "scenarios/runner/parallel_problem.h"

#include "scenarios/runner/model_files/model_file.h"
#include "scenarios/runner/parallel_options.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/run_factors_file.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/collective_profile_file.h"
#include "scenarios/runner/scenario_files/kernel_profile_file.h"

namespace soapbox::runner {

namespace {

// --model, --cluster, --devices, --seq-len and --run-factors.
Result<ParallelProblemSpec> read_parallel_problem_options(const Arguments& arguments) {
  ParallelProblemSpec spec;
  const Result<std::string> model = arguments.required("model");
  if (!model) return model.error();
  const Result<std::string> cluster = arguments.required("cluster");
  if (!cluster) return cluster.error();
  spec.model = *model;
  spec.cluster = *cluster;
  const Result<std::optional<int64_t>> devices = read_devices(arguments);
  if (!devices) return devices.error();
  spec.devices = *devices;
  const auto seq_len = arguments.whole_number("seq-len", 1, kMostTokens);
  if (!seq_len) return seq_len.error();
  spec.seq_len = *seq_len;
  const Result<bool> factors = read_run_factors(arguments);
  if (!factors) return factors.error();
  spec.run_factors = *factors;
  return spec;
}

}  // namespace

LoadedParallelProblem::LoadedParallelProblem(LoadedTransformer model, Cluster cluster,
                                             IdVector<HardwareId, KernelCosts> kernels,
                                             GroupCosts groups, const RunFactors& factors)
    : model_(std::move(model.model)),
      notes_(std::move(model.notes)),
      cluster_(std::move(cluster)),
      kernels_(std::move(kernels)),
      groups_(std::move(groups)),
      problem_{model_, cluster_, kernels_, groups_, factors} {}

Result<std::unique_ptr<const LoadedParallelProblem>> LoadedParallelProblem::load(
    const ScenarioFolder& scenarios, const ParallelProblemSpec& spec) {
  Result<LoadedTransformer> model = load_transformer(scenarios, spec.model, spec.seq_len);
  if (!model) return model.error();
  std::optional<size_t> devices;
  if (spec.devices) devices = static_cast<size_t>(*spec.devices);
  Result<Cluster> cluster = load_cluster(scenarios, spec.cluster, devices);
  if (!cluster) return cluster.error();
  Result<IdVector<HardwareId, KernelCosts>> kernels = cluster_kernel_costs(scenarios, *cluster);
  if (!kernels) return kernels.error();
  Result<GroupCosts> groups = load_group_costs(scenarios, *cluster);
  if (!groups) return groups.error();
  const Result<RunFactorTable> factors = RunFactorTable::read(scenarios.run_factors());
  if (!factors) return factors.error();
  const RunFactors& fitted = factors->of(cluster->hardware()[HardwareId(0)].name);
  RunFactors own;
  own.reserved = fitted.reserved;
  if (spec.run_factors) own = fitted;
  return std::unique_ptr<const LoadedParallelProblem>(new LoadedParallelProblem(
      *std::move(model), *std::move(cluster), *std::move(kernels), *std::move(groups), own));
}

Result<std::unique_ptr<const LoadedParallelProblem>> load_parallel_problem(
    const Arguments& arguments, const Console& console, std::optional<int64_t> seq_len) {
  Result<ParallelProblemSpec> spec = read_parallel_problem_options(arguments);
  if (!spec) return spec.error();
  if (!spec->seq_len) spec->seq_len = seq_len;
  return load_parallel_problem(*spec, console);
}

Result<std::unique_ptr<const LoadedParallelProblem>> load_parallel_problem(
    const ParallelProblemSpec& spec, const Console& console) {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  auto loaded = LoadedParallelProblem::load(*scenarios, spec);
  if (loaded) say_notes(console, spec.model, (*loaded)->notes());
  return loaded;
}

ParallelPlanHeader plan_header(const ParallelProblem& problem) {
  return {problem.model.name, problem.model.seq_len, problem.cluster.name(),
          static_cast<int64_t>(problem.cluster.device_count())};
}

}  // namespace soapbox::runner
