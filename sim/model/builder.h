// Builds a model layer by layer, so that a builder function reads like the table in its paper.
//
// Every function adds one operator and returns its id, to be named as input of later ones. Names
// are unique; the layer that a person would name is the operator's name, unless in_step() says
// otherwise. Shapes that do not fit are bugs of the caller and abort.
//
// Conventions, for all models:
//   * ReLU, tanh and batch normalisation are folded into the operator they follow, as in FlexFlow's
//     own graphs; a batch normalisation's scale and shift are counted (PerChannel).
//   * A layer's matrix and its per-channel parameters (bias, scale, shift) are one weight of shape
//     out_channels x (fan_in + per-channel parameters), so that they travel as one message.
//   * Reductions cannot be split here: partial sums cannot pass a folded activation.
//   * Multiplications and additions count as one FLOP each; pooling counts one per window element,
//     softmax five per class (maximum, subtract, exponentiate, sum, divide).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/result.h"
#include "sim/model/graph.h"

namespace soapbox {

// A convolution's or pooling's window. The output has floor((size + 2 padding - kernel) / stride) +
// 1 rows and columns.
struct Window {
  int64_t kernel_h = 1;
  int64_t kernel_w = 1;
  int64_t stride = 1;
  int64_t padding_h = 0;
  int64_t padding_w = 0;
};
constexpr Window square(int64_t kernel, int64_t stride = 1, int64_t padding = 0) {
  return {kernel, kernel, stride, padding, padding};
}

// Parameters per output channel beside the filter.
enum class PerChannel : int64_t {
  kNothing = 0,
  kBias = 1,
  kBatchNorm = 2,  // scale and shift; the running statistics are not trained
};

class ModelBuilder {
 public:
  // `batch`: samples per iteration. REQUIRES: batch > 0.
  ModelBuilder(std::string name, int64_t batch);

  // A source of images: sample x channel x height x width.
  OpId images(std::string name, int64_t channels, int64_t size);
  OpId conv(std::string name, OpId input, int64_t channels, Window window, PerChannel extra);
  OpId pool(std::string name, OpId input, Window window);
  OpId pool_all(std::string name, OpId input);  // one value per channel
  // Fully connected: reads all of a sample, whatever its rank.
  OpId dense(std::string name, OpId input, int64_t channels);
  // Over the last axis, with cross-entropy loss. A split by class neglects the exchange of two
  // numbers per row (its maximum and its sum), as vocabulary-parallel implementations do it.
  OpId softmax(std::string name, OpId input);
  OpId concat(std::string name, std::span<const OpId> inputs, size_t axis);
  OpId add(std::string name, OpId left, OpId right);

  int64_t size(OpId op, size_t dim) const { return ops_[op].dims[dim].size; }
  // Checks and orders what was added; the builder is spent.
  Result<Model> build();

 private:
  OpId append(Operator op);
  WeightId add_weight(std::string name, std::vector<int64_t> shape);
  Operator over_output_of(OpId input, std::string name, OpKind kind) const;

  std::string name_;
  int64_t batch_;
  IdVector<OpId, Operator> ops_;
  IdVector<WeightId, Weight> weights_;
};

}  // namespace soapbox
