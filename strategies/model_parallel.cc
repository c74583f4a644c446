// Model parallelism: no operator is split; whole operators are placed on devices.
//
// The operators in topological order are cut into as many contiguous groups as there are devices,
// so that the heaviest group has as little forward and backward work as possible; group k is on
// device k. Devices work at the same time only where the graph has parallel branches or unrolled
// steps.

#include "strategies/placement.h"
#include "strategies/recipes.h"

namespace soapbox::strategies {

Result<Plan> model_parallel(const Model& model, const Cluster& cluster) {
  std::vector<Flops> work;
  for (const Operator& op : model.graph.ops()) work.push_back(training_flops(op));
  const std::vector<size_t> group_of = balanced_groups(work, cluster.device_count());
  Plan plan;
  for (const size_t group : group_of) {
    plan.ops.push_back(whole_on(DeviceId::from_index(group)));
  }
  return plan;
}

}  // namespace soapbox::strategies
