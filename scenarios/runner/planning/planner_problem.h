// From names and files to what a planner plans on: model, cluster, and the costs of layers.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sim/base/result.h"
#include "sim/parallel/simulate_parallel.h"
#include "strategies/galvatron/galvatron2.h"
#include "strategies/uniap/profiled_costs.h"
#include "strategies/uniap/transformer_costs.h"

namespace soapbox::runner {

struct PlannerProblemSpec {
  std::string model;  // a Transformer's name
  std::string cluster;
  std::optional<int64_t> devices;
  // A folder of Galvatron's profiles, which then price the layers; empty: the simulator's costs do.
  std::string galvatron_profiles;
  strategies::uniap::TransformerCostsOptions costs;
};

class PlannerProblem {
 public:
  // Errors: unknown names, bad files, clusters of several kinds of devices.
  static Result<std::unique_ptr<const PlannerProblem>> load(const PlannerProblemSpec& spec);
  PlannerProblem(const PlannerProblem&) = delete;

  const ParallelProblem& problem() const { return problem_; }
  const Transformer& model() const { return model_; }
  const Cluster& cluster() const { return cluster_; }
  const strategies::uniap::LayerCosts& layers() const;
  bool is_profiled() const { return profiled_.has_value(); }
  // The layers as a profile of Galvatron's: the folder's, or what its profiler would have measured
  // in the simulator.
  const strategies::galvatron::Galvatron2Profile& profile() const { return profile_; }
  Bytes device_memory() const { return cluster_.hardware_of(DeviceId(0)).memory; }
  // A hash over what is read: layers, links, costs, memory.
  std::string fingerprint() const;

 private:
  PlannerProblem(const PlannerProblemSpec& spec, Transformer model, Cluster cluster,
                 IdVector<HardwareId, KernelCosts> kernels, GroupCosts groups);
  Status read_profiles(const PlannerProblemSpec& spec);

  Transformer model_;
  Cluster cluster_;
  IdVector<HardwareId, KernelCosts> kernels_;
  GroupCosts groups_;
  ParallelProblem problem_;  // refers to the members above
  strategies::uniap::TransformerCosts simulated_;
  strategies::galvatron::Galvatron2Profile profile_;
  std::optional<strategies::uniap::ProfiledCosts> profiled_;
};

}  // namespace soapbox::runner
