// StageCosts: everything that lowering needs of a plan in times: each layer's costs on each kind of
// device, what stages send each other, the optimiser step.
#pragma once

#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cost/kernel_costs.h"
#include "sim/parallel/layer_cost.h"
#include "sim/parallel/pass_order.h"

namespace soapbox {

struct ParallelProblem {
  const Transformer& model;
  const Cluster& cluster;
  const IdVector<HardwareId, KernelCosts>& kernels;  // of the cluster's devices
  const GroupCosts& groups;
  RunFactors factors;
};

// Moving from one layer's strategy to the next one's: ranks of the larger tensor group gather
// samples that were spread over more data ranks.
struct Reshard {
  Duration forward;   // before the layer's forward pass
  Duration backward;  // after its backward pass
};

// One update of so many parameters: Adam reads the gradient, reads and writes two moments and the
// master weight, and writes the weight that the products use.
Kernel optimizer_kernel(const Precision& precision, double parameters);

struct StageCosts {
  StageCosts(const ParallelProblem& problem, const ParallelPlan& plan);

  const LayerCost& layer(HardwareId hardware, size_t index) const {
    return layers[hardware.value()][index];
  }
  // The stage's layers of a chunk: [first, last).
  size_t first_layer(int32_t position) const;
  size_t last_layer(int32_t position) const;
  RankLayout layout(size_t layer) const {
    return RankLayout(plan.strategy(layer), devices_per_node);
  }
  // Parameters of a layer on one of its ranks before any sharding, experts apart: of the head
  // with the copy of a tied table, where the embedding is on another stage.
  int64_t dense_parameters(size_t layer) const;
  // The pipeline with the times of its passes, on the cluster's first hardware.
  PipelineShape pipeline() const;

  const ParallelProblem& problem;
  const ParallelPlan& plan;
  int64_t devices_per_node = 1;
  std::vector<LayerWork> work;                 // by layer
  std::vector<std::vector<LayerCost>> layers;  // by hardware, layer
  std::vector<Reshard> reshard;                // by layer
  std::vector<Duration> send;                  // by position: to the next one
  std::vector<Duration> optimizer;             // by stage
  Duration tied_embeddings;  // gradients of a table that the first and the last stage share
};

}  // namespace soapbox
