// Data parallelism: every device holds the whole model and computes a share of the samples.
//
// Every operator is split over its sample dimension, task k on device k. Where the batch does not
// divide by the number of devices, the largest divisor below it is used and the last devices are
// idle.

#include "strategies/placement.h"
#include "strategies/recipes.h"

namespace soapbox::strategies {

Result<Plan> data_parallel(const Model& model, const Cluster& cluster) {
  const std::vector<DeviceId> devices = all_devices(cluster);
  Plan plan;
  for (const Operator& op : model.graph.ops()) {
    plan.ops.push_back(split_over(op, divisible_dim(op, DimClass::kSample), devices));
  }
  return plan;
}

}  // namespace soapbox::strategies
