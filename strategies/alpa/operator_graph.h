// A computation of tensor operators, forward and backward alike, as Alpa's intra-operator level
// sees it, and the ways in which tensors lie on a mesh of devices.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace soapbox::strategies::alpa {

// Devices in rows and columns. The cost of a collective along one axis of n devices is
//
//   all-reduce   latency + 2 (n - 1) / n x bytes x seconds per byte
//   all-gather   latency +   (n - 1) / n x bytes x seconds per byte
struct Mesh {
  static constexpr size_t kAxes = 2;
  std::array<int64_t, kAxes> devices = {1, 1};
  std::array<double, kAxes> latency_s = {0, 0};
  std::array<double, kAxes> s_per_byte = {0, 0};

  double all_reduce_s(double bytes, size_t axis) const;
  double all_gather_s(double bytes, size_t axis) const;
};

inline constexpr int kWhole = -1;

// For every axis of the mesh the dimension of the tensor that is split along it, or kWhole.
struct Sharding {
  std::array<int, Mesh::kAxes> dim = {kWhole, kWhole};
  friend bool operator==(const Sharding&, const Sharding&) = default;
};

enum class OpKind : uint8_t {
  kParameter,    // of the computation: weights and samples
  kConstant,     // whole everywhere
  kElementwise,  // operands and result of one shape
  kBroadcast,    // dims[i]: the dimension of the result that the operand's i becomes
  kTranspose,    // dims[i]: the operand's dimension that becomes i
  kReshape,
  kReduce,  // over dims
  kDot,
  kGather,  // whole everywhere, whatever the operand is
};

// The result's dimensions are the batch ones, then lhs's own one, then rhs's.
struct DotDims {
  int lhs_contracting = 1;
  int rhs_contracting = 0;
  std::vector<int> lhs_batch = {};
  std::vector<int> rhs_batch = {};
};

struct Operator {
  OpKind kind = OpKind::kParameter;
  std::vector<int64_t> shape;
  std::vector<size_t> operands;  // all before it
  std::vector<int> dims;
  DotDims dot;
  double bytes() const;  // of the result, in fp32
};

class OperatorGraph {
 public:
  // Each gives the index of what it adds.
  size_t parameter(std::vector<int64_t> shape);
  size_t constant(std::vector<int64_t> shape);
  size_t elementwise(std::vector<size_t> operands);
  size_t broadcast(size_t operand, std::vector<int64_t> shape, std::vector<int> dims);
  size_t transpose(size_t operand, std::vector<int> dims);
  size_t reshape(size_t operand, std::vector<int64_t> shape);
  size_t reduce(size_t operand, std::vector<int> dims);
  size_t dot(size_t lhs, size_t rhs, DotDims dims = {});
  size_t gather(size_t operand);
  // A weight and its successor, which must lie as it does.
  void alias(size_t before, size_t after) { aliases_.push_back({before, after}); }

  const std::vector<Operator>& operators() const { return operators_; }
  const std::vector<std::array<size_t, 2>>& aliases() const { return aliases_; }

 private:
  size_t add(Operator op);
  std::vector<Operator> operators_;
  std::vector<std::array<size_t, 2>> aliases_;
};

// The dimension of lhs (or rhs) that is neither a batch dimension nor contracted.
int own_dim(const std::vector<int64_t>& shape, const std::vector<int>& batch, int contracting);

}  // namespace soapbox::strategies::alpa
