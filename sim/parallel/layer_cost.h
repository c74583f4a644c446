// LayerCost: the times of what layer_work.h writes down, on one kind of device and one cluster.
#pragma once

#include <vector>

#include "sim/base/units.h"
#include "sim/collective/group_cost.h"
#include "sim/cost/kernel_costs.h"
#include "sim/parallel/layer_work.h"
#include "sim/parallel/rank_layout.h"
#include "sim/parallel/run_factors.h"

namespace soapbox {

// Kernels one after the other, then an exchange that they and what follows wait for.
struct Segment {
  Duration compute;
  Duration exchange;
  RankGroup group = RankGroup::kTensor;
};

struct PassCost {
  std::vector<Segment> segments;
  Duration compute() const;
  Duration total() const;
};

// What sharding and replicating the layer's parameters costs per use.
struct DataCost {
  Duration gather;  // of all parameters of the layer from their shards
  Duration reduce;  // of all gradients: to their shards, or to every replica
};

struct LayerCost {
  PassCost forward;
  PassCost backward;  // what is recomputed first; weight gradients too, unless they are apart
  PassCost weight;
  DataCost data;
  // For the interval of a whole run: the sums over all kernels and exchanges of time x width.
  double low_s = 0;
  double high_s = 0;
  double total_s = 0;
  Provenance worst = Provenance::kMeasured;
};

// What times depend on beside the layer.
struct LayerPricing {
  const KernelCosts& kernels;
  const GroupCosts& groups;
  const RunFactors& factors;
  int64_t devices_per_node = 1;
  bool split_backward = false;
};

// A collective as a step waits for it. Bytes as group_cost.h counts them.
Duration exchange_time(const GroupCosts& groups, const RunFactors& factors, CollectiveOp op,
                       double bytes, const GroupShape& shape);

LayerCost price_layer(const LayerWork& work, const LayerStrategy& strategy,
                      const ParallelPlan& plan, const LayerPricing& pricing);

}  // namespace soapbox
