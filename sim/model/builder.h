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
#include <optional>
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

// A layer of a sequence model: its operators, one per unrolled step or per run of fused steps,
// share one weight. Their tensors are sample x length x channel, where length counts the fused
// steps.
struct SequenceLayer {
  std::string name;
  WeightId weight;
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
  OpId dense(std::string name, OpId input, int64_t channels, PerChannel extra = PerChannel::kBias);
  // Over the last axis, with cross-entropy loss. A split by class neglects the exchange of two
  // numbers per row (its maximum and its sum), as vocabulary-parallel implementations do it.
  OpId softmax(std::string name, OpId input);
  OpId concat(std::string name, std::span<const OpId> inputs, size_t axis);
  OpId add(std::string name, OpId left, OpId right);
  OpId multiply_add(std::string name, OpId left, OpId right, OpId addend);

  // A source of feature vectors: sample x channel.
  OpId features(std::string name, int64_t channels);
  // Of every sample the sum of the rows that `ids` (tokens) names: sample x channel. The gradient
  // has as many rows of the table as the batch looks up, or all.
  OpId embedding_bag(std::string name, OpId ids, int64_t rows, int64_t channels);
  // Dot products of every two of the `vectors` that lie side by side in the channels of `input`:
  // sample x vector x vector. pairs() keeps each product of two different ones once.
  OpId interaction(std::string name, OpId input, int64_t vectors);
  OpId pairs(std::string name, OpId interaction);

  // A source of token sequences: sample x length.
  OpId tokens(std::string name, int64_t length);
  SequenceLayer embedding_layer(std::string name, int64_t vocabulary, int64_t channels);
  SequenceLayer lstm_layer(std::string name, int64_t in_channels, int64_t hidden);
  SequenceLayer linear_layer(std::string name, int64_t in_channels, int64_t out_channels);

  // Operator number `step` of a layer; it is named "LAYER_STEP".
  // Embeds tokens [step * length, (step + 1) * length).
  OpId embed(const SequenceLayer& layer, int32_t step, OpId tokens, int64_t length);
  // Begins with the state in which `previous` ended: its last hidden state, all of it, and its last
  // cell state, channel by channel. The cell state has the hidden state's shape, so it is a second
  // edge from the same operator. Without `previous`, the state is zero. Fused steps cannot be split
  // by channel, because every step needs all channels of the one before.
  OpId lstm(const SequenceLayer& layer, int32_t step, OpId input, std::optional<OpId> previous);
  // Reads the channels of all inputs, as if they were concatenated.
  OpId linear(const SequenceLayer& layer, int32_t step, std::span<const OpId> inputs);
  // Dot-product attention (Luong et al., arXiv 1508.04025): every step of `queries` is scored
  // against all steps of `states`, which are then summed by score.
  OpId attention(const std::string& layer, int32_t step, OpId queries, OpId states);
  OpId softmax_step(const std::string& layer, int32_t step, OpId input);
  // Fully connected, reading the last step of a sequence.
  OpId dense_last(std::string name, OpId sequence, int64_t channels);

  int64_t size(OpId op, size_t dim) const { return ops_[op].dims[dim].size; }
  // Checks and orders what was added; the builder is spent.
  Result<Model> build();

 private:
  OpId append(Operator op);
  OpId append_step(Operator op, const std::string& layer, int32_t step);
  OpId append_dense(std::string name, Input input, int64_t fan_in, int64_t channels,
                    PerChannel extra);
  OpId append_elementwise(std::string name, std::span<const OpId> inputs);
  WeightId add_weight(std::string name, std::vector<int64_t> shape);
  Operator over_output_of(OpId input, std::string name, OpKind kind) const;

  std::string name_;
  int64_t batch_;
  IdVector<OpId, Operator> ops_;
  IdVector<WeightId, Weight> weights_;
};

}  // namespace soapbox
