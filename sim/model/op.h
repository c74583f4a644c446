// One operator of a model: its iteration space, what it reads, which weights it holds, what it
// costs.
//
// An operator is described by data, not by a class per kind. Its *iteration space* is a list of
// dimensions: first those of its output tensor (row-major), then its reduction dimensions (summed
// over, like the input channels of a convolution). Splitting the iteration space into equal pieces
// gives the operator's tasks. Every axis of every input and weight says by an AxisMap which range a
// piece needs, so one rectangle routine serves convolution halos, concatenation, recurrence and
// matrix products alike.
//
// The class of a dimension is FlexFlow's (arXiv 1807.05358, section 4, Table 2): Sample; Parameter
// if splitting it splits the weights; Attribute otherwise. Reduction dimensions are outside SOAP;
// splitting one gives partial sums (Megatron's row-parallel layers).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/units.h"

namespace soapbox {

using OpId = StrongId<struct OpTag>;
using WeightId = StrongId<struct WeightTag>;

inline constexpr size_t kMaxDims = 6;  // of an iteration space, and axes of a tensor

enum class DataType : uint8_t { kFp32, kTf32, kBf16, kFp16, kFp8, kFp4, kInt32, kInt64 };
int64_t size_bytes(DataType type);  // fp4, which shares bytes, with its scales: 1
std::string to_string(DataType type);
// Types that linear layers multiply in and nothing else does.
constexpr bool is_narrow(DataType type) {
  return type == DataType::kFp8 || type == DataType::kFp4;
}

enum class DimClass : uint8_t { kSample, kAttribute, kParameter, kReduction };
char letter(DimClass dim_class);  // 'S', 'A', 'P', 'R'

struct Dim {
  std::string name;  // "sample", "channel", "height", "length", ...
  int64_t size = 1;
  DimClass dim_class = DimClass::kSample;
  bool divisible = true;  // false: the operator needs the whole of it (e.g. a softmax's classes)
};

// A half-open interval of indices; empty when lo >= hi.
struct Range {
  int64_t lo = 0;
  int64_t hi = 0;
  int64_t extent() const { return hi > lo ? hi - lo : 0; }
  friend bool operator==(Range, Range) = default;
};

// The range of one axis of an input or weight that a piece of the iteration space needs.
//   kWhole    the whole axis, whatever the piece
//   kWindow   for the piece's range [lo, hi) of iteration dimension `dim`:
//             [lo * stride - padding, (hi - 1) * stride - padding + kernel), clipped to the axis.
//             stride = kernel = 1, padding = 0 follows the dimension; a convolution's halo comes
//             from kernel > stride; padding = k > 0 alone reads an axis that begins at index k of
//             the dimension (concatenation), padding < 0 a slice; stride = kernel = s scales.
//   kFixed    [fixed.lo, fixed.hi), whatever the piece (the last step of a fused recurrence)
struct AxisMap {
  enum class Kind : uint8_t { kWhole, kWindow, kFixed };
  Kind kind = Kind::kWhole;
  uint8_t dim = 0;
  int64_t stride = 1;
  int64_t kernel = 1;
  int64_t padding = 0;
  Range fixed;

  static AxisMap whole() { return {}; }
  static AxisMap follow(size_t dim) { return window(dim, 1, 1, 0); }
  static AxisMap window(size_t dim, int64_t stride, int64_t kernel, int64_t padding) {
    AxisMap map;
    map.kind = Kind::kWindow;
    map.dim = static_cast<uint8_t>(dim);
    map.stride = stride;
    map.kernel = kernel;
    map.padding = padding;
    return map;
  }
  static AxisMap fixed_range(int64_t lo, int64_t hi) {
    AxisMap map;
    map.kind = Kind::kFixed;
    map.fixed = {lo, hi};
    return map;
  }
  // The range needed of an axis of `axis_size` by a piece covering `piece[dim]`.
  Range apply(const std::array<Range, kMaxDims>& piece, int64_t axis_size) const;

  friend bool operator==(const AxisMap&, const AxisMap&) = default;
};

// What a kernel is, for the cost models. The iteration space says how big it is.
enum class OpKind : uint8_t {
  kInput,         // a source of samples: no work, no gradient
  kConv2d,        // dims: sample, channel, height, width | in_channel; params: kernel_h, kernel_w
  kPool2d,        // dims: sample, channel, height, width;              params: kernel_h, kernel_w
  kLinear,        // dims: sample[, length], out_channel.. | in_channel
  kEmbedding,     // dims: sample[, length], out_channel; weight: vocabulary x out_channel
  kLstm,          // dims: sample[, length], hidden | in_channel (input + hidden features)
  kAttention,     // dims: sample[, length[, heads..]], hidden | states: scores against states, sum
  kSoftmax,       // dims: sample[, length], class: softmax with cross-entropy loss
  kConcat,        // copies its inputs into one tensor
  kElementwise,   // add, activation, batch normalisation at training time: one pass over memory
  kEmbeddingBag,  // dims: sample, out_channel | lookups: sums rows; weight: rows x out_channel
  kInteraction,   // dims: sample, vector, vector | channel: dot products of a sample's vectors
};
std::string to_string(OpKind kind);

// One input tensor: the producer's output, and per axis of it what a piece of the consumer reads.
struct Input {
  OpId producer;
  std::vector<AxisMap> axes;  // one per output dimension of the producer
};

// One weight used by an operator. Unrolled steps of a recurrent layer name the same WeightId: such
// a weight is stored, synchronised and updated once per iteration.
struct WeightUse {
  WeightId weight;
  std::vector<AxisMap> axes;  // one per axis of the weight
};

struct Weight {
  std::string name;
  std::vector<int64_t> shape;
  DataType type = DataType::kFp32;
  int64_t gradient_rows = 0;  // of axis 0 that an iteration's gradient has; 0: all of them
  int64_t parameter_count() const;
  Bytes size() const;
  // Of its gradient, which is what replicas exchange and an update reads and writes.
  Bytes gradient_size() const;
};

struct Operator {
  std::string name;
  OpKind kind = OpKind::kInput;
  DataType type = DataType::kFp32;
  std::vector<Dim> dims;   // iteration space: output dimensions first, then reductions
  size_t output_rank = 0;  // how many of `dims` are output dimensions
  std::vector<Input> inputs;
  std::vector<WeightUse> weights;
  double flops_per_point = 0;  // forward FLOPs per point of the whole iteration space
  int64_t kernel_h = 1;        // convolution and pooling windows
  int64_t kernel_w = 1;
  bool needs_input_gradient = true;  // whether a weight lies upstream; OpGraph::make sets it
  // For display and for recipes: the layer a person would name ("lstm2"), and which of its unrolled
  // operators this is.
  std::string layer;
  int32_t step = 0;

  int64_t output_elements() const;
  double iteration_points() const;
  Flops forward_flops() const { return Flops(iteration_points() * flops_per_point); }
  // FLOPs of the backward pass: one forward's worth per gradient that is computed.
  Flops backward_flops() const;
};

}  // namespace soapbox
