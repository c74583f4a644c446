#include "sim/model/builder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox {

namespace {

Dim sample(int64_t size) {
  return {"sample", size, DimClass::kSample, true};
}
Dim attribute(std::string name, int64_t size) {
  return {std::move(name), size, DimClass::kAttribute, true};
}
Dim parameter(std::string name, int64_t size) {
  return {std::move(name), size, DimClass::kParameter, true};
}
Dim reduction(std::string name, int64_t size) {
  return {std::move(name), size, DimClass::kReduction, false};
}

// Axis maps that follow the first `rank` dimensions one to one.
std::vector<AxisMap> follow_all(size_t rank) {
  std::vector<AxisMap> maps;
  for (size_t d = 0; d < rank; ++d) maps.push_back(AxisMap::follow(d));
  return maps;
}

int64_t window_count(int64_t size, int64_t kernel, int64_t stride, int64_t padding) {
  SOAPBOX_CHECK(size + 2 * padding >= kernel, "the window is larger than the image");
  return (size + 2 * padding - kernel) / stride + 1;
}

}  // namespace

ModelBuilder::ModelBuilder(std::string name, int64_t batch)
    : name_(std::move(name)), batch_(batch) {
  SOAPBOX_CHECK(batch > 0, "a batch has at least one sample");
}

OpId ModelBuilder::append(Operator op) {
  if (op.layer.empty()) op.layer = op.name;
  return ops_.push_back(std::move(op));
}

WeightId ModelBuilder::add_weight(std::string name, std::vector<int64_t> shape) {
  return weights_.push_back({std::move(name), std::move(shape), DataType::kFp32});
}

// An operator whose output has the shape of `input`, reading it element by element.
Operator ModelBuilder::over_output_of(OpId input, std::string name, OpKind kind) const {
  const Operator& producer = ops_[input];
  Operator op;
  op.name = std::move(name);
  op.kind = kind;
  op.output_rank = producer.output_rank;
  for (size_t d = 0; d < producer.output_rank; ++d) {
    op.dims.push_back(d == 0 ? sample(producer.dims[d].size)
                             : attribute(producer.dims[d].name, producer.dims[d].size));
  }
  op.inputs = {{input, follow_all(producer.output_rank)}};
  return op;
}

OpId ModelBuilder::images(std::string name, int64_t channels, int64_t size) {
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kInput;
  op.dims = {sample(batch_), attribute("channel", channels), attribute("height", size),
             attribute("width", size)};
  op.output_rank = 4;
  return append(std::move(op));
}

OpId ModelBuilder::conv(std::string name, OpId input, int64_t channels, Window window,
                        PerChannel extra) {
  const Operator& image = ops_[input];
  SOAPBOX_CHECK(image.output_rank == 4, "a convolution reads images");
  const int64_t in_channels = image.dims[1].size;
  Operator op;
  op.kind = OpKind::kConv2d;
  op.dims = {sample(batch_), parameter("channel", channels),
             attribute("height", window_count(image.dims[2].size, window.kernel_h, window.stride,
                                              window.padding_h)),
             attribute("width", window_count(image.dims[3].size, window.kernel_w, window.stride,
                                             window.padding_w)),
             reduction("in_channel", in_channels)};
  op.output_rank = 4;
  op.inputs = {{input,
                {AxisMap::follow(0), AxisMap::whole(),
                 AxisMap::window(2, window.stride, window.kernel_h, window.padding_h),
                 AxisMap::window(3, window.stride, window.kernel_w, window.padding_w)}}};
  const int64_t fan_in = in_channels * window.kernel_h * window.kernel_w;
  op.weights = {{add_weight(name, {channels, fan_in + static_cast<int64_t>(extra)}),
                 {AxisMap::follow(1), AxisMap::whole()}}};
  op.flops_per_point = 2.0 * static_cast<double>(window.kernel_h * window.kernel_w);
  op.kernel_h = window.kernel_h;
  op.kernel_w = window.kernel_w;
  op.name = std::move(name);
  return append(std::move(op));
}

OpId ModelBuilder::pool(std::string name, OpId input, Window window) {
  SOAPBOX_CHECK(ops_[input].output_rank == 4, "pooling reads images");
  Operator op = over_output_of(input, std::move(name), OpKind::kPool2d);
  op.dims[2].size = window_count(op.dims[2].size, window.kernel_h, window.stride, window.padding_h);
  op.dims[3].size = window_count(op.dims[3].size, window.kernel_w, window.stride, window.padding_w);
  op.inputs[0].axes[2] = AxisMap::window(2, window.stride, window.kernel_h, window.padding_h);
  op.inputs[0].axes[3] = AxisMap::window(3, window.stride, window.kernel_w, window.padding_w);
  op.flops_per_point = static_cast<double>(window.kernel_h * window.kernel_w);
  op.kernel_h = window.kernel_h;
  op.kernel_w = window.kernel_w;
  return append(std::move(op));
}

OpId ModelBuilder::pool_all(std::string name, OpId input) {
  SOAPBOX_CHECK(ops_[input].output_rank == 4, "pooling reads images");
  return pool(std::move(name), input, {size(input, 2), size(input, 3), 1, 0, 0});
}

OpId ModelBuilder::append_dense(std::string name, Input input, int64_t fan_in, int64_t channels,
                                PerChannel extra) {
  Operator op;
  op.kind = OpKind::kLinear;
  op.dims = {sample(batch_), parameter("out_channel", channels), reduction("in_channel", fan_in)};
  op.output_rank = 2;
  op.inputs = {std::move(input)};
  op.weights = {{add_weight(name, {channels, fan_in + static_cast<int64_t>(extra)}),
                 {AxisMap::follow(1), AxisMap::whole()}}};
  op.flops_per_point = 2;
  op.name = std::move(name);
  return append(std::move(op));
}

OpId ModelBuilder::dense(std::string name, OpId input, int64_t channels, PerChannel extra) {
  const Operator& producer = ops_[input];
  std::vector<AxisMap> axes(producer.output_rank, AxisMap::whole());
  axes[0] = AxisMap::follow(0);
  const int64_t fan_in = producer.output_elements() / producer.dims[0].size;
  return append_dense(std::move(name), {input, std::move(axes)}, fan_in, channels, extra);
}

OpId ModelBuilder::dense_last(std::string name, OpId sequence, int64_t channels) {
  const int64_t length = size(sequence, 1);
  const AxisMap last = AxisMap::fixed_range(length - 1, length);
  return append_dense(std::move(name), {sequence, {AxisMap::follow(0), last, AxisMap::whole()}},
                      size(sequence, 2), channels, PerChannel::kBias);
}

OpId ModelBuilder::softmax(std::string name, OpId input) {
  Operator op = over_output_of(input, std::move(name), OpKind::kSoftmax);
  op.dims[op.output_rank - 1].name = "class";
  op.flops_per_point = 5;
  return append(std::move(op));
}

OpId ModelBuilder::concat(std::string name, std::span<const OpId> inputs, size_t axis) {
  SOAPBOX_CHECK(!inputs.empty(), "a concatenation has inputs");
  Operator op = over_output_of(inputs[0], std::move(name), OpKind::kConcat);
  SOAPBOX_CHECK(axis > 0 && axis < op.output_rank, "samples are not concatenated");
  op.inputs.clear();
  int64_t offset = 0;
  for (const OpId id : inputs) {
    const Operator& producer = ops_[id];
    SOAPBOX_CHECK(producer.output_rank == op.output_rank, "concatenated tensors have one rank");
    for (size_t d = 0; d < op.output_rank; ++d) {
      SOAPBOX_CHECK(d == axis || producer.dims[d].size == op.dims[d].size,
                    "concatenated tensors differ in one axis only");
    }
    op.inputs.push_back({id, follow_all(op.output_rank)});
    op.inputs.back().axes[axis] = AxisMap::window(axis, 1, 1, offset);
    offset += producer.dims[axis].size;
  }
  op.dims[axis].size = offset;
  return append(std::move(op));
}

OpId ModelBuilder::append_elementwise(std::string name, std::span<const OpId> inputs) {
  Operator op = over_output_of(inputs[0], std::move(name), OpKind::kElementwise);
  for (const OpId input : inputs.subspan(1)) {
    const Operator& other = ops_[input];
    SOAPBOX_CHECK(other.output_rank == op.output_rank, "combined tensors have one shape");
    for (size_t d = 0; d < op.output_rank; ++d) {
      SOAPBOX_CHECK(other.dims[d].size == op.dims[d].size, "combined tensors have one shape");
    }
    op.inputs.push_back({input, follow_all(op.output_rank)});
  }
  op.flops_per_point = static_cast<double>(inputs.size() - 1);
  return append(std::move(op));
}

OpId ModelBuilder::add(std::string name, OpId left, OpId right) {
  return append_elementwise(std::move(name), std::array{left, right});
}

OpId ModelBuilder::multiply_add(std::string name, OpId left, OpId right, OpId addend) {
  return append_elementwise(std::move(name), std::array{left, right, addend});
}

OpId ModelBuilder::features(std::string name, int64_t channels) {
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kInput;
  op.dims = {sample(batch_), attribute("channel", channels)};
  op.output_rank = 2;
  return append(std::move(op));
}

OpId ModelBuilder::embedding_bag(std::string name, OpId ids, int64_t rows, int64_t channels) {
  const int64_t lookups = size(ids, 1);
  Operator op;
  op.kind = OpKind::kEmbeddingBag;
  op.dims = {sample(batch_), parameter("out_channel", channels), reduction("lookups", lookups)};
  op.output_rank = 2;
  op.inputs = {{ids, {AxisMap::follow(0), AxisMap::whole()}}};
  const WeightId table = add_weight(name, {rows, channels});
  weights_[table].gradient_rows = std::min(rows, batch_ * lookups);
  op.weights = {{table, {AxisMap::whole(), AxisMap::follow(1)}}};
  op.name = std::move(name);
  return append(std::move(op));
}

OpId ModelBuilder::interaction(std::string name, OpId input, int64_t vectors) {
  SOAPBOX_CHECK(size(input, 1) % vectors == 0, "the vectors have equal channels");
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kInteraction;
  op.dims = {sample(batch_), attribute("row", vectors), attribute("column", vectors),
             reduction("channel", size(input, 1) / vectors)};
  op.dims[1].divisible = op.dims[2].divisible = false;
  op.output_rank = 3;
  op.inputs = {{input, {AxisMap::follow(0), AxisMap::whole()}}};
  op.flops_per_point = 2;
  return append(std::move(op));
}

OpId ModelBuilder::pairs(std::string name, OpId interaction) {
  const int64_t vectors = size(interaction, 1);
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kElementwise;
  op.dims = {sample(batch_), attribute("pair", vectors * (vectors - 1) / 2)};
  op.output_rank = 2;
  op.inputs = {{interaction, {AxisMap::follow(0), AxisMap::whole(), AxisMap::whole()}}};
  return append(std::move(op));
}

OpId ModelBuilder::append_step(Operator op, const std::string& layer, int32_t step) {
  op.name = str_cat(layer, "_", step);
  op.layer = layer;
  op.step = step;
  return append(std::move(op));
}

OpId ModelBuilder::tokens(std::string name, int64_t length) {
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kInput;
  op.type = DataType::kInt32;
  op.dims = {sample(batch_), attribute("length", length)};
  op.output_rank = 2;
  return append(std::move(op));
}

SequenceLayer ModelBuilder::embedding_layer(std::string name, int64_t vocabulary,
                                            int64_t channels) {
  const WeightId weight = add_weight(name, {vocabulary, channels});
  return {std::move(name), weight};
}

// Per hidden channel, for each of the four gates: its row of the input and of the recurrent matrix,
// and a bias for either, as in cuDNN.
SequenceLayer ModelBuilder::lstm_layer(std::string name, int64_t in_channels, int64_t hidden) {
  const WeightId weight = add_weight(name, {hidden, 4 * (in_channels + hidden + 2)});
  return {std::move(name), weight};
}

SequenceLayer ModelBuilder::linear_layer(std::string name, int64_t in_channels,
                                         int64_t out_channels) {
  const WeightId weight = add_weight(name, {out_channels, in_channels + 1});
  return {std::move(name), weight};
}

OpId ModelBuilder::embed(const SequenceLayer& layer, int32_t step, OpId tokens, int64_t length) {
  Operator op;
  op.kind = OpKind::kEmbedding;
  op.dims = {sample(batch_), attribute("length", length),
             parameter("out_channel", weights_[layer.weight].shape[1])};
  op.output_rank = 3;
  op.inputs = {{tokens, {AxisMap::follow(0), AxisMap::window(1, 1, 1, -step * length)}}};
  op.weights = {{layer.weight, {AxisMap::whole(), AxisMap::follow(2)}}};
  return append_step(std::move(op), layer.name, step);
}

OpId ModelBuilder::lstm(const SequenceLayer& layer, int32_t step, OpId input,
                        std::optional<OpId> previous) {
  const int64_t length = size(input, 1);
  const int64_t in_channels = size(input, 2);
  const int64_t hidden = weights_[layer.weight].shape[0];
  SOAPBOX_CHECK(weights_[layer.weight].shape[1] == 4 * (in_channels + hidden + 2),
                "the layer's weight is for another input");
  Operator op;
  op.kind = OpKind::kLstm;
  op.dims = {sample(batch_), attribute("length", length), parameter("hidden", hidden),
             reduction("in_channel", in_channels + hidden)};
  op.dims[1].divisible = false;
  op.dims[2].divisible = length == 1;
  op.output_rank = 3;
  op.inputs = {{input, {AxisMap::follow(0), AxisMap::follow(1), AxisMap::whole()}}};
  if (previous) {
    SOAPBOX_CHECK(size(*previous, 2) == hidden, "the previous state has other channels");
    const int64_t end = size(*previous, 1);
    const AxisMap last = AxisMap::fixed_range(end - 1, end);
    op.inputs.push_back({*previous, {AxisMap::follow(0), last, AxisMap::whole()}});
    op.inputs.push_back({*previous, {AxisMap::follow(0), last, AxisMap::follow(2)}});
  }
  op.weights = {{layer.weight, {AxisMap::follow(2), AxisMap::whole()}}};
  op.flops_per_point = 2 * 4;  // a multiplication and an addition for each of four gates
  return append_step(std::move(op), layer.name, step);
}

OpId ModelBuilder::linear(const SequenceLayer& layer, int32_t step, std::span<const OpId> inputs) {
  SOAPBOX_CHECK(!inputs.empty(), "a linear operator has inputs");
  Operator op;
  int64_t in_channels = 0;
  for (const OpId input : inputs) {
    SOAPBOX_CHECK(size(input, 1) == size(inputs[0], 1), "inputs cover the same steps");
    op.inputs.push_back({input, {AxisMap::follow(0), AxisMap::follow(1), AxisMap::whole()}});
    in_channels += size(input, 2);
  }
  const std::vector<int64_t>& shape = weights_[layer.weight].shape;
  SOAPBOX_CHECK(shape[1] == in_channels + 1, "the layer's weight is for another input");
  op.kind = OpKind::kLinear;
  op.dims = {sample(batch_), attribute("length", size(inputs[0], 1)),
             parameter("out_channel", shape[0]), reduction("in_channel", in_channels)};
  op.output_rank = 3;
  op.weights = {{layer.weight, {AxisMap::follow(2), AxisMap::whole()}}};
  op.flops_per_point = 2;
  return append_step(std::move(op), layer.name, step);
}

OpId ModelBuilder::attention(const std::string& layer, int32_t step, OpId queries, OpId states) {
  SOAPBOX_CHECK(size(queries, 2) == size(states, 2), "queries and states have the same channels");
  Operator op = over_output_of(queries, {}, OpKind::kAttention);
  op.dims[2].name = "hidden";
  op.dims[2].divisible = false;  // a score needs all channels
  op.dims.push_back(reduction("states", size(states, 1)));
  op.inputs.push_back({states, {AxisMap::follow(0), AxisMap::whole(), AxisMap::whole()}});
  op.flops_per_point = 2 * 2;  // the scores, and the sum
  return append_step(std::move(op), layer, step);
}

OpId ModelBuilder::softmax_step(const std::string& layer, int32_t step, OpId input) {
  const OpId op = softmax(str_cat(layer, "_", step), input);
  ops_[op].layer = layer;
  ops_[op].step = step;
  return op;
}

Result<Model> ModelBuilder::build() {
  Result<OpGraph> graph = OpGraph::make(std::move(ops_), std::move(weights_));
  if (!graph) return graph.error();
  return Model{name_, batch_, *std::move(graph)};
}

}  // namespace soapbox
