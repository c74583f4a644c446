#include "sim/model/op.h"

#include <algorithm>

#include "sim/base/check.h"

namespace soapbox {

int64_t size_bytes(DataType type) {
  switch (type) {
    case DataType::kFp8:
    case DataType::kFp4:
      return 1;
    case DataType::kBf16:
    case DataType::kFp16:
      return 2;
    case DataType::kFp32:
    case DataType::kTf32:  // a way of multiplying: stored as fp32
    case DataType::kInt32:
      return 4;
    case DataType::kInt64:
      return 8;
  }
  return 0;
}

std::string to_string(DataType type) {
  switch (type) {
    case DataType::kFp32:
      return "fp32";
    case DataType::kTf32:
      return "tf32";
    case DataType::kBf16:
      return "bf16";
    case DataType::kFp16:
      return "fp16";
    case DataType::kFp8:
      return "fp8";
    case DataType::kFp4:
      return "fp4";
    case DataType::kInt32:
      return "int32";
    case DataType::kInt64:
      return "int64";
  }
  return "?";
}

char letter(DimClass dim_class) {
  switch (dim_class) {
    case DimClass::kSample:
      return 'S';
    case DimClass::kAttribute:
      return 'A';
    case DimClass::kParameter:
      return 'P';
    case DimClass::kReduction:
      return 'R';
  }
  return '?';
}

std::string to_string(OpKind kind) {
  switch (kind) {
    case OpKind::kInput:
      return "input";
    case OpKind::kConv2d:
      return "conv2d";
    case OpKind::kPool2d:
      return "pool2d";
    case OpKind::kLinear:
      return "linear";
    case OpKind::kEmbedding:
      return "embedding";
    case OpKind::kLstm:
      return "lstm";
    case OpKind::kAttention:
      return "attention";
    case OpKind::kSoftmax:
      return "softmax";
    case OpKind::kConcat:
      return "concat";
    case OpKind::kElementwise:
      return "elementwise";
    case OpKind::kEmbeddingBag:
      return "embedding_bag";
    case OpKind::kInteraction:
      return "interaction";
  }
  return "?";
}

Range AxisMap::apply(const std::array<Range, kMaxDims>& piece, int64_t axis_size) const {
  if (kind == Kind::kWhole) return {0, axis_size};
  if (kind == Kind::kFixed) return fixed;
  const Range of_piece = piece[dim];
  if (of_piece.extent() == 0) return {0, 0};
  const int64_t lo = std::max<int64_t>(of_piece.lo * stride - padding, 0);
  const int64_t hi = std::min((of_piece.hi - 1) * stride - padding + kernel, axis_size);
  return lo < hi ? Range{lo, hi} : Range{0, 0};
}

int64_t Weight::parameter_count() const {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

Bytes Weight::size() const {
  return Bytes(size_bytes(type)) * parameter_count();
}

Bytes Weight::gradient_size() const {
  if (gradient_rows == 0) return size();
  return Bytes(size_bytes(type)) * (parameter_count() / shape[0] * gradient_rows);
}

int64_t Operator::output_elements() const {
  SOAPBOX_DCHECK(output_rank <= dims.size(), "output rank exceeds the iteration space");
  int64_t count = 1;
  for (size_t d = 0; d < output_rank; ++d) count *= dims[d].size;
  return count;
}

double Operator::iteration_points() const {
  double points = 1;
  for (const Dim& dim : dims) points *= static_cast<double>(dim.size);
  return points;
}

Flops Operator::backward_flops() const {
  int gradients = weights.empty() ? 0 : 1;
  // Both operands of a product of activations get a gradient.
  const bool of_activations = kind == OpKind::kAttention || kind == OpKind::kInteraction;
  if (needs_input_gradient) gradients += of_activations ? 2 : 1;
  return forward_flops() * gradients;
}

}  // namespace soapbox
