#include "strategies/alpa/operator_graph.h"

#include <algorithm>

#include "sim/base/check.h"

namespace soapbox::strategies::alpa {

double Mesh::all_reduce_s(double bytes, size_t axis) const {
  const auto n = static_cast<double>(devices[axis]);
  return latency_s[axis] + 2 * (n - 1) / n * bytes * s_per_byte[axis];
}

double Mesh::all_gather_s(double bytes, size_t axis) const {
  const auto n = static_cast<double>(devices[axis]);
  return latency_s[axis] + (n - 1) / n * bytes * s_per_byte[axis];
}

double Operator::bytes() const {
  double count = 4;
  for (const int64_t size : shape) count *= static_cast<double>(size);
  return count;
}

int own_dim(const std::vector<int64_t>& shape, const std::vector<int>& batch, int contracting) {
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    if (d != contracting && std::find(batch.begin(), batch.end(), d) == batch.end()) return d;
  }
  SOAPBOX_CHECK(false, "a product without a dimension of its own");
  return 0;
}

size_t OperatorGraph::add(Operator op) {
  operators_.push_back(std::move(op));
  return operators_.size() - 1;
}

size_t OperatorGraph::parameter(std::vector<int64_t> shape) {
  return add({OpKind::kParameter, std::move(shape), {}, {}, {}});
}

size_t OperatorGraph::constant(std::vector<int64_t> shape) {
  return add({OpKind::kConstant, std::move(shape), {}, {}, {}});
}

size_t OperatorGraph::elementwise(std::vector<size_t> operands) {
  std::vector<int64_t> shape = operators_[operands.front()].shape;
  return add({OpKind::kElementwise, std::move(shape), std::move(operands), {}, {}});
}

size_t OperatorGraph::broadcast(size_t operand, std::vector<int64_t> shape, std::vector<int> dims) {
  return add({OpKind::kBroadcast, std::move(shape), {operand}, std::move(dims), {}});
}

size_t OperatorGraph::transpose(size_t operand, std::vector<int> dims) {
  std::vector<int64_t> shape;
  for (const int d : dims) shape.push_back(operators_[operand].shape[static_cast<size_t>(d)]);
  return add({OpKind::kTranspose, std::move(shape), {operand}, std::move(dims), {}});
}

size_t OperatorGraph::reshape(size_t operand, std::vector<int64_t> shape) {
  return add({OpKind::kReshape, std::move(shape), {operand}, {}, {}});
}

size_t OperatorGraph::reduce(size_t operand, std::vector<int> dims) {
  std::vector<int64_t> shape;
  const std::vector<int64_t>& before = operators_[operand].shape;
  for (size_t d = 0; d < before.size(); ++d) {
    if (std::find(dims.begin(), dims.end(), static_cast<int>(d)) == dims.end()) {
      shape.push_back(before[d]);
    }
  }
  return add({OpKind::kReduce, std::move(shape), {operand}, std::move(dims), {}});
}

size_t OperatorGraph::dot(size_t lhs, size_t rhs, DotDims dims) {
  const std::vector<int64_t>& left = operators_[lhs].shape;
  const std::vector<int64_t>& right = operators_[rhs].shape;
  std::vector<int64_t> shape;
  for (const int d : dims.lhs_batch) shape.push_back(left[static_cast<size_t>(d)]);
  const auto own = [](const auto& of, const std::vector<int>& batch, int contracting) {
    return of[static_cast<size_t>(own_dim(of, batch, contracting))];
  };
  shape.push_back(own(left, dims.lhs_batch, dims.lhs_contracting));
  shape.push_back(own(right, dims.rhs_batch, dims.rhs_contracting));
  return add({OpKind::kDot, std::move(shape), {lhs, rhs}, {}, std::move(dims)});
}

size_t OperatorGraph::gather(size_t operand) {
  return add({OpKind::kGather, operators_[operand].shape, {operand}, {}, {}});
}

}  // namespace soapbox::strategies::alpa
