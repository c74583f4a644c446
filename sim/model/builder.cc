#include "sim/model/builder.h"

#include <algorithm>
#include <utility>

#include "sim/base/check.h"

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

OpId ModelBuilder::dense(std::string name, OpId input, int64_t channels) {
  const Operator& producer = ops_[input];
  const int64_t fan_in = producer.output_elements() / producer.dims[0].size;
  Operator op;
  op.kind = OpKind::kLinear;
  op.dims = {sample(batch_), parameter("out_channel", channels), reduction("in_channel", fan_in)};
  op.output_rank = 2;
  op.inputs = {{input, std::vector<AxisMap>(producer.output_rank, AxisMap::whole())}};
  op.inputs[0].axes[0] = AxisMap::follow(0);
  op.weights = {{add_weight(name, {channels, fan_in + 1}), {AxisMap::follow(1), AxisMap::whole()}}};
  op.flops_per_point = 2;
  op.name = std::move(name);
  return append(std::move(op));
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

OpId ModelBuilder::add(std::string name, OpId left, OpId right) {
  Operator op = over_output_of(left, std::move(name), OpKind::kElementwise);
  const Operator& other = ops_[right];
  SOAPBOX_CHECK(other.output_rank == op.output_rank, "summed tensors have one shape");
  for (size_t d = 0; d < op.output_rank; ++d) {
    SOAPBOX_CHECK(other.dims[d].size == op.dims[d].size, "summed tensors have one shape");
  }
  op.inputs.push_back({right, follow_all(op.output_rank)});
  op.flops_per_point = 1;
  return append(std::move(op));
}

Result<Model> ModelBuilder::build() {
  Result<OpGraph> graph = OpGraph::make(std::move(ops_), std::move(weights_));
  if (!graph) return graph.error();
  return Model{name_, batch_, *std::move(graph)};
}

}  // namespace soapbox
