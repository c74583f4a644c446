#include "scenarios/runner/planning/planner_problem.h"

#include <algorithm>

#include "scenarios/runner/planning/galvatron_folder.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/collective_profile_file.h"
#include "scenarios/runner/scenario_files/kernel_profile_file.h"
#include "sim/base/str.h"
#include "sim/model/transformers.h"
#include "strategies/uniap/build_tables.h"
#include "strategies/uniap/simulated_profile.h"

namespace soapbox::runner {
namespace {

namespace uniap = strategies::uniap;
namespace galvatron = strategies::galvatron;

// What a framework keeps for itself on a device, as Galvatron counts it.
constexpr Bytes kReserved = mebibytes(1024);

RunFactors planner_factors() {
  RunFactors factors;
  factors.reserved = kReserved;
  return factors;
}

}  // namespace

PlannerProblem::PlannerProblem(const PlannerProblemSpec& spec, Transformer model, Cluster cluster,
                               IdVector<HardwareId, KernelCosts> kernels, GroupCosts groups)
    : model_(std::move(model)),
      cluster_(std::move(cluster)),
      kernels_(std::move(kernels)),
      groups_(std::move(groups)),
      problem_{model_, cluster_, kernels_, groups_, planner_factors()},
      simulated_(problem_, spec.costs) {}

const uniap::LayerCosts& PlannerProblem::layers() const {
  if (profiled_) return *profiled_;
  return simulated_;
}

Status PlannerProblem::read_profiles(const PlannerProblemSpec& spec) {
  if (spec.galvatron_profiles.empty()) {
    profile_ = uniap::simulated_profile(problem_, simulated_);
    return ok();
  }
  const auto devices = static_cast<int64_t>(cluster_.device_count());
  const int64_t per_node = std::min(groups_.fabric().devices_per_node, devices);
  Result<galvatron::Galvatron2Profile> profile =
      read_galvatron_folder(spec.galvatron_profiles, model_, {devices / per_node, per_node});
  if (!profile) return profile.error();
  profile_ = *std::move(profile);
  uniap::ProfiledProblem profiled;
  for (size_t first = 1; const galvatron::Galvatron2Layers& type : profile_.types) {
    profiled.heads.push_back(model_.layers[first].attention.heads);
    first += static_cast<size_t>(type.layers);
  }
  profiled.devices = static_cast<int32_t>(devices);
  profiled.memory = kReserved < device_memory() ? device_memory() - kReserved : Bytes();
  profiled.precise = spec.costs.precision.compute == DataType::kFp32;
  Result<uniap::ProfiledCosts> costs = uniap::ProfiledCosts::make(profile_, std::move(profiled));
  if (!costs) return costs.error();
  profiled_ = *std::move(costs);
  return ok();
}

std::string PlannerProblem::fingerprint() const {
  uint64_t hash = kHashSeed;
  const auto add = [&](const auto& field) { hash = hash_bytes(str_cat(field, ";"), hash); };
  add(model_.name);
  add(cluster_.name());
  add(device_memory().count());
  for (const TransformerLayer& layer : model_.layers) {
    add(to_string(layer.kind));
    add(layer.parameter_count());
    add(layer.forward_flops_per_sample());
  }
  // Costs are functions: by their values on tables of every degree.
  const int32_t devices = layers().device_count();
  for (int32_t stages = 1; stages <= devices; stages *= 2) {
    if (devices % stages != 0) break;
    for (const int64_t samples : {int64_t{1}, int64_t{devices}}) {
      const uniap::CostTables tables = uniap::build_tables(layers(), {}, stages, 1, samples);
      for (size_t i = 0; i < tables.compute_s.size(); ++i) {
        add(tables.compute_s[i]);
        add(tables.memory[i].states.count());
        add(tables.memory[i].activation.count());
      }
      for (const double seconds : tables.reshard_s) add(seconds);
      for (const double seconds : tables.reshard_cross_s) add(seconds);
    }
  }
  if (profiled_) add(profile_.overlap_slowdown);  // which searches put into their tables
  return hex(hash);
}

Result<std::unique_ptr<const PlannerProblem>> PlannerProblem::load(const PlannerProblemSpec& spec) {
  const Result<const TransformerRow*> row = find_transformer(spec.model);
  if (!row) return row.error();
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  std::optional<size_t> devices;
  if (spec.devices) devices = static_cast<size_t>(*spec.devices);
  Result<Cluster> cluster = load_cluster(*scenarios, spec.cluster, devices);
  if (!cluster) return cluster.error();
  if (cluster->hardware().size() != 1) {
    return bad_input(str_cat("cluster ", cluster->name(), " has ", cluster->hardware().size(),
                             " kinds of devices; planners take clusters of one kind"));
  }
  Result<IdVector<HardwareId, KernelCosts>> kernels = cluster_kernel_costs(*scenarios, *cluster);
  if (!kernels) return kernels.error();
  Result<GroupCosts> groups = load_group_costs(*scenarios, *cluster);
  if (!groups) return groups.error();
  std::unique_ptr<PlannerProblem> loaded(new PlannerProblem(
      spec, make_transformer(**row), *std::move(cluster), *std::move(kernels), *std::move(groups)));
  if (const Status status = loaded->read_profiles(spec); !status) return status.error();
  return std::unique_ptr<const PlannerProblem>(std::move(loaded));
}

}  // namespace soapbox::runner
