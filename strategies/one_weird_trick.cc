// "One weird trick for parallelizing CNNs" (Krizhevsky, arXiv 1404.5997, 2014).
//
// Convolutions have most of the work and few weights: they are data parallel. Linear layers have
// most of the weights and little work: they are split by output channel, so that each device holds
// a slice of their weights and none is synchronised. An elementwise operator that follows a
// channel-split layer keeps its split; everything else is data parallel.

#include "strategies/placement.h"
#include "strategies/recipes.h"

namespace soapbox::strategies {
namespace {

// The channel dimension of an elementwise operator: the last of its output, as in a linear layer.
std::optional<size_t> last_output_dim(const Operator& op) {
  const size_t last = op.output_rank - 1;
  if (last == 0 || !op.dims[last].divisible) return std::nullopt;
  return last;
}

}  // namespace

Result<Plan> one_weird_trick(const Model& model, const Cluster& cluster) {
  const std::vector<DeviceId> devices = all_devices(cluster);
  IdVector<OpId, bool> by_channel(model.graph.ops().size(), false);
  Plan plan;
  for (const OpId id : model.graph.ops().ids()) {
    const Operator& op = model.graph.op(id);
    std::optional<size_t> channel;
    if (op.kind == OpKind::kLinear) channel = divisible_dim(op, DimClass::kParameter);
    if (op.kind == OpKind::kElementwise && by_channel[op.inputs[0].producer]) {
      channel = last_output_dim(op);
    }
    by_channel[id] = channel.has_value();
    const std::optional<size_t> split = channel ? channel : divisible_dim(op, DimClass::kSample);
    plan.ops.push_back(split_over(op, split, devices));
  }
  return plan;
}

}  // namespace soapbox::strategies
