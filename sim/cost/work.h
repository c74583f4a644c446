// The work of one piece of an operator: which matrix products it amounts to, and how many bytes its
// kernels move. No device appears here.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "sim/model/op.h"

namespace soapbox {

using Extents = std::array<int64_t, kMaxDims>;  // of a piece, per iteration dimension

// A matrix product as cost models see it: `batch` independent (m x k)(k x n), all of it `steps`
// times one after the other (the unrolled steps of a fused recurrence, which wait for each other).
struct Gemm {
  int64_t batch = 1;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t steps = 1;
  double flops() const;  // 2 steps batch m n k
  friend bool operator==(const Gemm&, const Gemm&) = default;
};

// The forward product that a piece amounts to; m = 0 for operators that are bound by memory alone.
//   conv2d     m = samples x height x width of the output, n = channels,
//              k = input channels x kernel height x kernel width
//   linear     m = samples (x length), n = output channels (of all dimensions of class Parameter),
//              k = input channels
//   lstm       m = samples, n = 4 gates x hidden, k = input features; `length` steps
//   attention  batch = samples (x heads), m = 1 (or queries), n = states, k = hidden: the scores;
//              the sum over the states is a second product of the same size
//   interaction  batch = samples, m = n = vectors, k = channels
Gemm gemm_of(const Operator& op, const Extents& extents);

// Which library routine computes a product; each has figures of its own in a profile.
//   kLinear    x W^T, both operands stored along k: forward of linear and recurrent layers
//   kGemm      the other layouts and batched products: their gradients, attention
//   kConv      convolution as an implicit product
//   kWinograd  3x3 windows of stride 1 by Winograd's algorithm, k counted as if it were direct
enum class ProductKind : uint8_t { kLinear, kGemm, kConv, kWinograd };
inline constexpr size_t kProductKinds = 4;
std::string to_string(ProductKind kind);

// One phase (forward, input gradient or weight gradient) of a piece. Bytes are for one step.
struct Work {
  Gemm product;  // m = 0: none
  ProductKind kind = ProductKind::kLinear;
  int64_t products = 1;      // how many such products one step has
  double product_bytes = 0;  // operands and result, each once
  double stream_bytes = 0;   // of the memory-bound passes beside the product
  int64_t kernels = 0;       // launches in one step; 0: no work at all
};

struct PieceWork {
  Work forward;
  Work backward_input;
  Work backward_weight;
};

// How far the window moves along output dimension `dim`; 1 where there is none.
int64_t stride_of(const Operator& op, size_t dim);
// Of the part of the output that a piece computes.
int64_t output_elements(const Operator& op, const Extents& extents);

// Winograd's algorithm computes 4x4 patches of the output: a height or width of 13 costs as much
// as 16.
constexpr int64_t winograd_extent(int64_t size) {
  return (size + 3) / 4 * 4;
}

// All phases of a piece. A split by sample re-reads all weights in every piece, a split by channel
// re-reads all inputs: both follow from counting the operands of every piece in full.
PieceWork work_of(const Operator& op, const Extents& extents);

// The passes of a weight update (read gradient, read and write weight) and of a sum of buffers.
Work update_work(double weight_bytes);
Work sum_work(double buffer_bytes, int64_t inputs);

}  // namespace soapbox
