#include "scenarios/runner/parallel_problem.h"

#include <algorithm>

#include "scenarios/runner/cluster_file.h"
#include "scenarios/runner/collective_profile_file.h"
#include "scenarios/runner/kernel_profile_file.h"
#include "scenarios/runner/model_file.h"

namespace soapbox::runner {

Result<IdVector<HardwareId, KernelCosts>> load_kernel_costs(const ScenarioFolder& scenarios,
                                                            const Cluster& cluster) {
  const std::vector<std::string> known = scenarios.names(kKernelProfileFiles);
  IdVector<HardwareId, KernelCosts> costs;
  for (const Hardware& hardware : cluster.hardware()) {
    std::optional<KernelProfile> profile;
    if (std::find(known.begin(), known.end(), hardware.name) != known.end()) {
      const Result<std::string> path = scenarios.path(kKernelProfileFiles, hardware.name);
      if (!path) return path.error();
      Result<KernelProfile> read = read_kernel_profile(*path);
      if (!read) return read.error();
      profile = *std::move(read);
    }
    Result<KernelCosts> one = KernelCosts::make(hardware, profile ? &*profile : nullptr);
    if (!one) return one.error();
    costs.push_back(*std::move(one));
  }
  return costs;
}

LoadedParallelProblem::LoadedParallelProblem(LoadedTransformer model, Cluster cluster,
                                             IdVector<HardwareId, KernelCosts> kernels,
                                             GroupCosts groups)
    : model_(std::move(model.model)),
      notes_(std::move(model.notes)),
      cluster_(std::move(cluster)),
      kernels_(std::move(kernels)),
      groups_(std::move(groups)),
      problem_{model_, cluster_, kernels_, groups_, {}} {}

Result<std::unique_ptr<const LoadedParallelProblem>> LoadedParallelProblem::load(
    const ScenarioFolder& scenarios, const ParallelProblemSpec& spec) {
  Result<LoadedTransformer> model = load_transformer(scenarios, spec.model);
  if (!model) return model.error();
  if (spec.seq_len) {
    Result<Transformer> resized = with_seq_len(std::move(model->model), *spec.seq_len);
    if (!resized) return resized.error();
    model->model = *std::move(resized);
  }
  std::optional<size_t> devices;
  if (spec.devices) devices = static_cast<size_t>(*spec.devices);
  Result<Cluster> cluster = load_cluster(scenarios, spec.cluster, devices);
  if (!cluster) return cluster.error();
  Result<IdVector<HardwareId, KernelCosts>> kernels = load_kernel_costs(scenarios, *cluster);
  if (!kernels) return kernels.error();
  Result<GroupCosts> groups = load_group_costs(scenarios, *cluster);
  if (!groups) return groups.error();
  return std::unique_ptr<const LoadedParallelProblem>(new LoadedParallelProblem(
      *std::move(model), *std::move(cluster), *std::move(kernels), *std::move(groups)));
}

}  // namespace soapbox::runner
