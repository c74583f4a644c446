#include "scenarios/runner/fingerprint.h"

#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

// Fields go in one after the other, each ended by a byte that occurs in none.
class Hasher {
 public:
  template <class... Fields>
  void add(const Fields&... fields) {
    (add_one(to_text(fields)), ...);
  }
  std::string digits() const { return hex(hash_); }

 private:
  void add_one(std::string_view text) {
    hash_ = hash_bytes(text, hash_);
    hash_ = hash_bytes(std::string_view("\0", 1), hash_);
  }
  uint64_t hash_ = kHashSeed;
};

void add_axes(Hasher& hasher, const std::vector<AxisMap>& axes) {
  hasher.add(axes.size());
  for (const AxisMap& axis : axes) {
    hasher.add(static_cast<int>(axis.kind), static_cast<int>(axis.dim), axis.stride, axis.kernel,
               axis.padding, axis.fixed.lo, axis.fixed.hi);
  }
}

void add_operator(Hasher& hasher, const Operator& op) {
  hasher.add(op.name, static_cast<int>(op.kind), static_cast<int>(op.type), op.output_rank,
             op.flops_per_point, op.kernel_h, op.kernel_w, op.needs_input_gradient ? 1 : 0,
             op.layer, op.step, op.dims.size(), op.inputs.size(), op.weights.size());
  for (const Dim& dim : op.dims) {
    hasher.add(dim.name, dim.size, static_cast<int>(dim.dim_class), dim.divisible ? 1 : 0);
  }
  for (const Input& input : op.inputs) {
    hasher.add(input.producer.value());
    add_axes(hasher, input.axes);
  }
  for (const WeightUse& use : op.weights) {
    hasher.add(use.weight.value());
    add_axes(hasher, use.axes);
  }
}

void add_model(Hasher& hasher, const Model& model) {
  hasher.add(model.name, model.batch, model.graph.ops().size(), model.graph.weights().size());
  for (const Operator& op : model.graph.ops()) add_operator(hasher, op);
  for (const Weight& weight : model.graph.weights()) {
    hasher.add(weight.name, static_cast<int>(weight.type), weight.gradient_rows,
               weight.shape.size());
    for (const int64_t extent : weight.shape) hasher.add(extent);
  }
}

void add_cluster(Hasher& hasher, const Cluster& cluster) {
  hasher.add(cluster.name(), cluster.node_count(), cluster.vertices().size(),
             cluster.links().size(), cluster.devices().size(), cluster.hardware().size());
  for (const Vertex& vertex : cluster.vertices()) {
    hasher.add(vertex.name, static_cast<int>(vertex.kind), vertex.node.value());
  }
  for (const Link& link : cluster.links()) {
    hasher.add(link.from.value(), link.to.value(), link.bandwidth.rate(),
               link.latency.picoseconds(), link.type);
    if (link.copied_by_sender) hasher.add("copied by sender");
  }
  for (const Device& device : cluster.devices()) {
    hasher.add(device.vertex.value(), device.node.value(), device.hardware.value(),
               device.speed_factor);
  }
  for (const Hardware& hardware : cluster.hardware()) {
    hasher.add(hardware.name, hardware.memory.count());
  }
}

void add_cost(Hasher& hasher, const Costs& costs, const Operator& op, const Extents& extents,
              HardwareId hardware) {
  const OpCost cost = costs.op_cost(op, extents, hardware);
  hasher.add(cost.forward.picoseconds(), cost.backward_input.picoseconds(),
             cost.backward_weight.picoseconds());
}

void add_costs(Hasher& hasher, const Problem& problem, HardwareId hardware) {
  for (const Operator& op : problem.model.graph.ops()) {
    Extents whole = {1, 1, 1, 1, 1, 1};
    for (size_t dim = 0; dim < op.dims.size(); ++dim) whole[dim] = op.dims[dim].size;
    add_cost(hasher, problem.costs, op, whole, hardware);
    for (size_t dim = 0; dim < op.dims.size(); ++dim) {
      Extents split = whole;
      while (split[dim] % 2 == 0) {
        split[dim] /= 2;
        add_cost(hasher, problem.costs, op, split, hardware);
      }
    }
  }
  for (const Weight& weight : problem.model.graph.weights()) {
    hasher.add(problem.costs.update(weight.gradient_size(), hardware).picoseconds());
  }
  hasher.add(problem.costs.sum(mebibytes(1), 2, hardware).picoseconds());
}

}  // namespace

std::string fingerprint(const Problem& problem) {
  Hasher hasher;
  add_model(hasher, problem.model);
  add_cluster(hasher, problem.cluster);
  hasher.add(problem.options.compute_slowdown, problem.options.communication_slowdown,
             problem.options.reserved.count());
  for (const HardwareId id : problem.cluster.hardware().ids()) add_costs(hasher, problem, id);
  return hasher.digits();
}

}  // namespace soapbox::runner
