#include "strategies/alpa/op_strategies.h"

#include <algorithm>

namespace soapbox::strategies::alpa {
namespace {

// The sharding of a result from that of the operand it follows; nothing where it has none.
std::optional<Sharding> followed(const Operator& op, const std::vector<int64_t>& before,
                                 const Sharding& sharding);

// The dimension behind a reshape that a split dimension becomes: both must begin where the same
// number of elements has been passed, counted from behind.
std::optional<int> reshaped(const std::vector<int64_t>& before, const std::vector<int64_t>& after,
                            int dim) {
  const auto inner = [](const std::vector<int64_t>& shape, size_t from) {
    int64_t product = 1;
    for (size_t d = from; d < shape.size(); ++d) product *= shape[d];
    return product;
  };
  const int64_t elements = inner(before, static_cast<size_t>(dim));
  for (size_t d = 0; d < after.size(); ++d) {
    if (inner(after, d) == elements) return static_cast<int>(d);
  }
  return std::nullopt;
}

std::optional<Sharding> followed(const Operator& op, const std::vector<int64_t>& before,
                                 const Sharding& sharding) {
  Sharding result;
  for (size_t axis = 0; axis < Mesh::kAxes; ++axis) {
    const int dim = sharding.dim[axis];
    if (dim == kWhole) continue;
    switch (op.kind) {
      case OpKind::kBroadcast:
        result.dim[axis] = op.dims[static_cast<size_t>(dim)];
        break;
      case OpKind::kTranspose: {
        const auto found = std::find(op.dims.begin(), op.dims.end(), dim);
        result.dim[axis] = static_cast<int>(found - op.dims.begin());
        break;
      }
      case OpKind::kReshape: {
        const std::optional<int> to = reshaped(before, op.shape, dim);
        if (!to) return std::nullopt;
        result.dim[axis] = *to;
        break;
      }
      case OpKind::kReduce: {
        const bool reduced = std::find(op.dims.begin(), op.dims.end(), dim) != op.dims.end();
        const auto earlier =
            std::count_if(op.dims.begin(), op.dims.end(), [dim](int d) { return d < dim; });
        result.dim[axis] = reduced ? kWhole : dim - static_cast<int>(earlier);
        break;
      }
      default:
        result.dim[axis] = dim;
    }
  }
  return result;
}

class Builder {
 public:
  Builder(const OperatorGraph& graph, const Mesh& mesh) : graph_(graph), mesh_(mesh) {}

  std::vector<OpStrategies> build() {
    for (const Operator& op : graph_.operators()) {
      OpStrategies found;
      size_t depth = 0;
      for (const size_t operand : op.operands) depth = std::max(depth, depth_[operand] + 1);
      depth_.push_back(depth);
      if (op.kind == OpKind::kParameter) {
        add_parameter(op, found);
      } else if (op.kind == OpKind::kConstant) {
        add(op, {}, 0, {}, found);
      } else if (op.kind == OpKind::kGather) {
        add(op, {}, 0, {Sharding{}}, found);
      } else if (op.kind == OpKind::kDot) {
        add_dot(op, found);
      } else {
        add_followed(op, found);
      }
      made_.push_back(std::move(found));
    }
    return std::move(made_);
  }

 private:
  double share(const Operator& op, const Sharding& sharding) const {
    double bytes = op.bytes();
    for (size_t axis = 0; axis < Mesh::kAxes; ++axis) {
      if (sharding.dim[axis] != kWhole) bytes /= static_cast<double>(mesh_.devices[axis]);
    }
    return bytes;
  }

  void add(const Operator& op, const Sharding& result, double communication_s,
           std::vector<Sharding> needed, OpStrategies& found) const {
    const bool known = std::any_of(found.all.begin(), found.all.end(), [&](const OpStrategy& s) {
      return s.result == result && s.needed == needed && !s.follows;
    });
    if (known) return;  // axes of one device make strategies equal
    found.all.push_back({result, communication_s, share(op, result), std::move(needed), {}});
  }

  bool can_split(const Operator& op, size_t dim, size_t axis) const {
    return mesh_.devices[axis] > 1 && op.shape[dim] >= mesh_.devices[axis];
  }

  void add_parameter(const Operator& op, OpStrategies& found) const {
    for (size_t d = 0; d < op.shape.size(); ++d) {
      for (size_t axis = 0; axis < Mesh::kAxes; ++axis) {
        if (!can_split(op, d, axis)) continue;
        Sharding split;
        split.dim[axis] = static_cast<int>(d);
        add(op, split, 0, {}, found);
      }
    }
    add(op, {}, 0, {}, found);
  }

  // A dimension of a product as those of result, lhs and rhs.
  struct Role {
    int result = kWhole;
    int lhs = kWhole;
    int rhs = kWhole;
  };

  void add_product(const Operator& op, const std::array<Role, Mesh::kAxes>& roles,
                   OpStrategies& found) const {
    Sharding result;
    Sharding lhs;
    Sharding rhs;
    for (size_t axis = 0; axis < Mesh::kAxes; ++axis) {
      if (mesh_.devices[axis] == 1) continue;
      result.dim[axis] = roles[axis].result;
      lhs.dim[axis] = roles[axis].lhs;
      rhs.dim[axis] = roles[axis].rhs;
    }
    double communication_s = 0;
    for (size_t axis = 0; axis < Mesh::kAxes; ++axis) {
      const bool contracted = lhs.dim[axis] != kWhole && result.dim[axis] == kWhole;
      if (contracted) communication_s += mesh_.all_reduce_s(share(op, result), axis);
    }
    add(op, result, communication_s, {lhs, rhs}, found);
  }

  void add_dot(const Operator& op, OpStrategies& found) const {
    const DotDims& dims = op.dot;
    const auto batches = static_cast<int>(dims.lhs_batch.size());
    const auto& left = graph_.operators()[op.operands[0]].shape;
    const auto& right = graph_.operators()[op.operands[1]].shape;
    const auto batch = [&](int i) {
      const auto at = static_cast<size_t>(i);
      return Role{i, dims.lhs_batch[at], dims.rhs_batch[at]};
    };
    const bool plane = mesh_.devices[0] > 1 && mesh_.devices[1] > 1;
    if (batches == 2 && plane) return add_product(op, {batch(0), batch(1)}, found);
    const std::array<Role, 3> inner = {
        Role{batches, own_dim(left, dims.lhs_batch, dims.lhs_contracting), kWhole},
        Role{batches + 1, kWhole, own_dim(right, dims.rhs_batch, dims.rhs_contracting)},
        Role{kWhole, dims.lhs_contracting, dims.rhs_contracting}};
    for (size_t a = 0; a < inner.size(); ++a) {
      for (size_t b = 0; b < inner.size(); ++b) {
        if (a != b) add_product(op, {inner[a], inner[b]}, found);
      }
    }
    for (int i = 0; i < batches; ++i) {
      for (size_t axis = 0; axis < Mesh::kAxes; ++axis) {
        if (!can_split(op, static_cast<size_t>(i), axis)) continue;
        std::array<Role, Mesh::kAxes> roles;
        roles[axis] = batch(i);
        add_product(op, roles, found);
      }
    }
  }

  void add_followed(const Operator& op, OpStrategies& found) const {
    size_t leader = 0;
    for (size_t i = 1; i < op.operands.size(); ++i) {
      if (depth_[op.operands[i]] > depth_[op.operands[leader]]) leader = i;
    }
    found.leader = leader;
    const size_t source = op.operands[leader];
    const std::vector<int64_t>& before = graph_.operators()[source].shape;
    for (size_t k = 0; k < made_[source].all.size(); ++k) {
      const Sharding& sharding = made_[source].all[k].result;
      const std::optional<Sharding> result = followed(op, before, sharding);
      if (!result) continue;
      OpStrategy strategy{*result, 0, share(op, *result), {}, k};
      for (size_t axis = 0; op.kind == OpKind::kReduce && axis < Mesh::kAxes; ++axis) {
        const bool reduced = sharding.dim[axis] != kWhole && result->dim[axis] == kWhole;
        if (reduced) strategy.communication_s += mesh_.all_reduce_s(strategy.memory_bytes, axis);
      }
      strategy.needed.assign(op.operands.size(), *result);
      strategy.needed[leader] = sharding;
      found.all.push_back(std::move(strategy));
    }
  }

  const OperatorGraph& graph_;
  const Mesh& mesh_;
  std::vector<OpStrategies> made_;
  std::vector<size_t> depth_;
};

}  // namespace

std::vector<OpStrategies> op_strategies(const OperatorGraph& graph, const Mesh& mesh) {
  return Builder(graph, mesh).build();
}

double reshard_s(const Mesh& mesh, double bytes, const Sharding& from, const Sharding& to) {
  double cost_s = 0;
  for (size_t axis = 0; axis < Mesh::kAxes; ++axis) {
    const int dim = from.dim[axis];
    if (dim != kWhole && to.dim[axis] != dim) cost_s += mesh.all_gather_s(bytes, axis);
  }
  return cost_s;
}

}  // namespace soapbox::strategies::alpa
