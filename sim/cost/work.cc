#include "sim/cost/work.h"

namespace soapbox {
namespace {

double elements(int64_t a, int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

double element_bytes(const Operator& op) {
  return static_cast<double>(size_bytes(op.type));
}

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Product of the extents of the output dimensions [0, count).
int64_t outer_extent(const Extents& extents, size_t count) {
  int64_t product = 1;
  for (size_t dim = 0; dim < count; ++dim) product *= extents[dim];
  return product;
}

// The same of those before the last that are of class Parameter, columns beside the last one's.
int64_t outer_columns(const Operator& op, const Extents& extents) {
  int64_t product = 1;
  for (size_t dim = 0; dim + 1 < op.output_rank; ++dim) {
    if (op.dims[dim].dim_class == DimClass::kParameter) product *= extents[dim];
  }
  return product;
}

Work stream(double bytes) {
  Work work;
  work.stream_bytes = bytes;
  work.kernels = 1;
  return work;
}

Work product(ProductKind kind, const Gemm& gemm, double bytes) {
  Work work;
  work.kind = kind;
  work.product = gemm;
  work.product_bytes = bytes;
  work.kernels = 1;
  return work;
}

// Elements of the input rectangle under a convolution's or pooling's window.
double window_elements(const Operator& op, const Extents& extents, int64_t channels) {
  const int64_t height = (extents[2] - 1) * stride_of(op, 2) + op.kernel_h;
  const int64_t width = (extents[3] - 1) * stride_of(op, 3) + op.kernel_w;
  return elements(extents[0] * channels, height * width);
}

// Forward C = A B; input gradient dA = dC B^T, as a convolution of the input's size whose kernel is
// thinned by the stride; weight gradient dB = A^T dC, summed over samples and positions.
PieceWork conv_work(const Operator& op, const Extents& extents) {
  const Gemm gemm = gemm_of(op, extents);
  const int64_t in_channels = extents[4];
  const int64_t strides = stride_of(op, 2) * stride_of(op, 3);
  const int64_t window = op.kernel_h * op.kernel_w;
  const double input = window_elements(op, extents, in_channels);
  const double weight = elements(gemm.n, gemm.k);
  const double output = elements(gemm.m, gemm.n);
  const double bytes = element_bytes(op) * (input + weight + output);
  PieceWork work;
  Gemm forward = gemm;
  Gemm to_input{1, gemm.m * strides, in_channels, ceil_div(gemm.n * window, strides)};
  ProductKind kind = ProductKind::kConv;
  // Winograd's transform exists for 3x3 windows of stride 1, forward and to the input.
  if (op.kernel_h == 3 && op.kernel_w == 3 && strides == 1) {
    kind = ProductKind::kWinograd;
    forward.m = extents[0] * winograd_extent(extents[2]) * winograd_extent(extents[3]);
    to_input.m = forward.m;
  }
  work.forward = product(kind, forward, bytes);
  if (op.needs_input_gradient) work.backward_input = product(kind, to_input, bytes);
  const Gemm to_weight{1, gemm.n, gemm.k, gemm.m};
  work.backward_weight = product(ProductKind::kConv, to_weight, bytes);
  return work;
}

PieceWork linear_work(const Operator& op, const Extents& extents) {
  const Gemm gemm = gemm_of(op, extents);
  const double bytes = element_bytes(op) * (elements(gemm.m, gemm.k) + elements(gemm.k, gemm.n) +
                                            elements(gemm.m, gemm.n));
  PieceWork work;
  work.forward = product(ProductKind::kLinear, gemm, bytes);
  if (op.needs_input_gradient) {
    work.backward_input = product(ProductKind::kGemm, {1, gemm.m, gemm.k, gemm.n}, bytes);
  }
  work.backward_weight = product(ProductKind::kGemm, {1, gemm.n, gemm.k, gemm.m}, bytes);
  return work;
}

// One step of a cell is the product of all four gates and a pointwise kernel over gates, cell state
// and output. The weight gradients of all steps are one product, because by then every step is
// known.
PieceWork lstm_work(const Operator& op, const Extents& extents) {
  constexpr double kPointwisePasses = 7;  // 4 gates, cell state in and out, hidden state
  const Gemm gemm = gemm_of(op, extents);
  const double size = element_bytes(op);
  const double bytes =
      size * (elements(gemm.m, gemm.k) + elements(gemm.k, gemm.n) + elements(gemm.m, gemm.n));
  const double pointwise = size * kPointwisePasses * elements(gemm.m, gemm.n / 4);
  PieceWork work;
  work.forward = product(ProductKind::kLinear, gemm, bytes);
  work.forward.stream_bytes = pointwise;
  work.forward.kernels = 2;
  const Gemm to_input{1, gemm.m, gemm.k, gemm.n, gemm.steps};
  work.backward_input = product(ProductKind::kGemm, to_input, bytes);
  work.backward_input.stream_bytes = 2 * pointwise;
  work.backward_input.kernels = 2;
  const Gemm to_weight{1, gemm.n, gemm.k, gemm.m * gemm.steps};
  const double steps = static_cast<double>(gemm.steps);
  work.backward_weight =
      product(ProductKind::kGemm, to_weight,
              size * (steps * (elements(gemm.m, gemm.k) + elements(gemm.m, gemm.n)) +
                      elements(gemm.k, gemm.n)));
  return work;
}

// Scores, softmax over them, weighted sum; backwards each product gives two. The weighted sum is
// the scores' product with n and k exchanged and the same operands, so it is counted as its equal.
PieceWork attention_work(const Operator& op, const Extents& extents) {
  constexpr double kSoftmaxPasses = 4;  // read for maximum, sum and quotient; write
  const Gemm gemm = gemm_of(op, extents);
  const double size = element_bytes(op) * static_cast<double>(gemm.batch);
  const double scores = elements(gemm.m, gemm.n);
  const double bytes = 2 * size * (elements(gemm.m, gemm.k) + elements(gemm.k, gemm.n) + scores);
  PieceWork work;
  work.forward = product(ProductKind::kGemm, gemm, bytes);
  work.forward.products = 2;
  work.forward.stream_bytes = kSoftmaxPasses * size * scores;
  work.forward.kernels = 3;
  if (op.needs_input_gradient) {
    work.backward_input = work.forward;
    work.backward_input.products = 4;
    work.backward_input.product_bytes = 2 * bytes;
    work.backward_input.kernels = 5;
  }
  return work;
}

// X X^T of every sample; backward (dG + dG^T) X, each addend a product.
PieceWork interaction_work(const Operator& op, const Extents& extents) {
  const Gemm gemm = gemm_of(op, extents);
  const double vectors = elements(gemm.batch * gemm.m, gemm.k);
  const double products = elements(gemm.batch * gemm.m, gemm.n);
  PieceWork work;
  work.forward = product(ProductKind::kGemm, gemm, element_bytes(op) * (2 * vectors + products));
  if (op.needs_input_gradient) {
    const Gemm to_input{gemm.batch, gemm.m, gemm.k, gemm.n};
    work.backward_input = product(ProductKind::kGemm, to_input, 2 * work.forward.product_bytes);
    work.backward_input.products = 2;
    work.backward_input.kernels = 2;
  }
  return work;
}

// Reads every row, adds in registers, writes the sum; backward the gradient is added to every row.
PieceWork embedding_bag_work(const Operator& op, const Extents& extents) {
  const double sums = element_bytes(op) * static_cast<double>(output_elements(op, extents));
  const double rows = sums * static_cast<double>(extents[op.output_rank]);
  PieceWork work;
  work.forward = stream(rows + sums);
  work.backward_weight = stream(sums + 2 * rows);
  return work;
}

// Operators that pass over memory: bytes moved forward and backward per byte of output and input.
PieceWork stream_work(const Operator& op, const Extents& extents) {
  const double output = element_bytes(op) * static_cast<double>(output_elements(op, extents));
  const double inputs = static_cast<double>(op.inputs.size());
  PieceWork work;
  double backward = 0;
  if (op.kind == OpKind::kPool2d) {
    const double input = element_bytes(op) * window_elements(op, extents, extents[1]);
    work.forward = stream(input + output);
    backward = 2 * (input + output);  // reads input, output and its gradient, writes one
  } else if (op.kind == OpKind::kSoftmax) {
    work.forward = stream(4 * output);  // read for maximum, sum and quotient; write
    backward = 2 * output;              // probabilities in, gradient out
  } else if (op.kind == OpKind::kConcat) {
    work.forward = stream(2 * output);
    backward = 2 * output;
  } else if (op.kind == OpKind::kEmbedding) {
    work.forward = stream(2 * output);
    work.backward_weight = stream(3 * output);  // scattered addition: gradient, row in, row out
    return work;
  } else if (op.weights.empty()) {
    work.forward = stream((inputs + 1) * output);
    backward = (op.inputs.size() == 1 ? 3 : inputs + 1) * output;
  } else {  // normalisation: statistics need a pass of their own
    work.forward = stream(3 * output);
    backward = 3 * output;
    work.backward_weight = stream(2 * output);
  }
  if (op.needs_input_gradient) work.backward_input = stream(backward);
  return work;
}

}  // namespace

double Gemm::flops() const {
  return 2.0 * elements(steps, batch) * elements(m, n) * static_cast<double>(k);
}

int64_t stride_of(const Operator& op, size_t dim) {
  if (op.inputs.empty() || op.inputs[0].axes.size() <= dim) return 1;
  const AxisMap& map = op.inputs[0].axes[dim];
  return map.kind == AxisMap::Kind::kWindow && map.stride > 0 ? map.stride : 1;
}

int64_t output_elements(const Operator& op, const Extents& extents) {
  return outer_extent(extents, op.output_rank);
}

std::string to_string(ProductKind kind) {
  switch (kind) {
    case ProductKind::kLinear:
      return "linear";
    case ProductKind::kGemm:
      return "gemm";
    case ProductKind::kConv:
      return "conv";
    case ProductKind::kWinograd:
      return "winograd";
  }
  return "unknown";
}

Gemm gemm_of(const Operator& op, const Extents& extents) {
  const size_t rank = op.output_rank;
  switch (op.kind) {
    case OpKind::kConv2d:
      return {1, extents[0] * extents[2] * extents[3], extents[1],
              extents[4] * op.kernel_h * op.kernel_w};
    case OpKind::kLinear: {
      const int64_t columns = outer_columns(op, extents);
      return {1, outer_extent(extents, rank - 1) / columns, columns * extents[rank - 1],
              extents[rank]};
    }
    case OpKind::kLstm:
      return {1, extents[0], 4 * extents[rank - 1], extents[rank], rank > 2 ? extents[1] : 1};
    case OpKind::kAttention: {
      const int64_t queries = rank > 2 ? extents[1] : 1;
      return {outer_extent(extents, rank - 1) / queries, queries, extents[rank], extents[rank - 1]};
    }
    case OpKind::kInteraction:
      return {extents[0], extents[1], extents[2], extents[3]};
    case OpKind::kInput:
    case OpKind::kPool2d:
    case OpKind::kEmbedding:
    case OpKind::kSoftmax:
    case OpKind::kConcat:
    case OpKind::kElementwise:
    case OpKind::kEmbeddingBag:
      break;
  }
  return {};
}

PieceWork work_of(const Operator& op, const Extents& extents) {
  switch (op.kind) {
    case OpKind::kInput:
      return {};
    case OpKind::kConv2d:
      return conv_work(op, extents);
    case OpKind::kLinear:
      return linear_work(op, extents);
    case OpKind::kLstm:
      return lstm_work(op, extents);
    case OpKind::kAttention:
      return attention_work(op, extents);
    case OpKind::kInteraction:
      return interaction_work(op, extents);
    case OpKind::kEmbeddingBag:
      return embedding_bag_work(op, extents);
    case OpKind::kPool2d:
    case OpKind::kEmbedding:
    case OpKind::kSoftmax:
    case OpKind::kConcat:
    case OpKind::kElementwise:
      break;
  }
  return stream_work(op, extents);
}

Work update_work(double weight_bytes) {
  return stream(3 * weight_bytes);
}

Work sum_work(double buffer_bytes, int64_t inputs) {
  return stream(static_cast<double>(inputs + 1) * buffer_bytes);
}

}  // namespace soapbox
