// The module libsoapbox_cpu.so: kernels of oneDNN on one core each.
//
// Tensors have the layout that oneDNN prefers, as inside frameworks that keep them so; activations
// that models fold into convolutions and linear layers are folded here. An LSTM's step is a product
// of all four gates, their non-linearities and the pointwise rest, as sim/cost/work.h counts it.
#include <omp.h>

#include <algorithm>
#include <dnnl.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "calib/backend/host_kernels.h"
#include "calib/backend/kernel_module.h"
#include "sim/base/rng.h"
#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

using dnnl::memory;
using Dims = memory::dims;
using Tag = memory::format_tag;
using dnnl::prop_kind;

memory::desc any(const Dims& dims) {
  return {dims, memory::data_type::f32, Tag::any};
}

memory::desc rows(int64_t count, int64_t length) {
  return {{count, length}, memory::data_type::f32, Tag::ab};
}

memory::desc stack(int64_t batch, int64_t count, int64_t length) {
  return {{batch, count, length}, memory::data_type::f32, Tag::abc};
}

// The same with its last two dimensions exchanged in memory.
memory::desc transposed(int64_t batch, int64_t count, int64_t length) {
  return {{batch, count, length}, memory::data_type::f32, Tag::acb};
}

// A row of primitives that run one after the other, some of them several times.
class Sequence : public PreparedKernel {
 public:
  explicit Sequence(const dnnl::engine& engine) : engine_(engine), stream_(engine) {}

  // A buffer of small random numbers.
  memory buffer(const memory::desc& desc) {
    memory data(desc, engine_);
    auto* values = static_cast<float*>(data.get_data_handle());
    const size_t count = desc.get_size() / sizeof(float);
    for (size_t i = 0; i < count; ++i) values[i] = random_();
    buffers_.push_back(data);
    return data;
  }
  void add(dnnl::primitive primitive, std::unordered_map<int, memory> arguments,
           int64_t times = 1) {
    parts_.push_back({std::move(primitive), std::move(arguments), times});
  }
  void run() override {
    for (const Part& part : parts_) {
      for (int64_t i = 0; i < part.times; ++i) part.primitive.execute(stream_, part.arguments);
    }
    stream_.wait();
  }
  void cool() override {
    for (const memory& data : buffers_) flush(data.get_data_handle(), data.get_desc().get_size());
  }
  const dnnl::engine& engine() const { return engine_; }

 private:
  struct Part {
    dnnl::primitive primitive;
    std::unordered_map<int, memory> arguments;
    int64_t times;
  };
  struct SmallNumbers {
    Rng rng = Rng(1);
    float operator()() { return static_cast<float>(rng.next_u32() >> 8) * 0x1p-24f - 0.5f; }
  };
  dnnl::engine engine_;
  dnnl::stream stream_;
  SmallNumbers random_;
  std::vector<Part> parts_;
  std::vector<memory> buffers_;
};

dnnl::primitive_attr folded_relu() {
  dnnl::post_ops after;
  after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0, 0);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(after);
  return attributes;
}

// y = x W^T; `out` and `in` are channels.
void add_linear(Sequence& kernel, int64_t count, int64_t out, int64_t in, Phase phase,
                int64_t times = 1) {
  const auto src = any({count, in});
  const auto weights = any({out, in});
  const auto dst = any({count, out});
  using Forward = dnnl::inner_product_forward;
  const auto attributes = times == 1 ? folded_relu() : dnnl::primitive_attr();
  const Forward::primitive_desc forward({prop_kind::forward_training, src, weights, dst},
                                        attributes, kernel.engine());
  if (phase == Phase::kForward) {
    kernel.add(Forward(forward),
               {{DNNL_ARG_SRC, kernel.buffer(forward.src_desc())},
                {DNNL_ARG_WEIGHTS, kernel.buffer(forward.weights_desc())},
                {DNNL_ARG_DST, kernel.buffer(forward.dst_desc())}},
               times);
  } else if (phase == Phase::kBackwardInput) {
    using Backward = dnnl::inner_product_backward_data;
    const Backward::primitive_desc backward({src, weights, dst}, kernel.engine(), forward);
    kernel.add(Backward(backward),
               {{DNNL_ARG_DIFF_SRC, kernel.buffer(backward.diff_src_desc())},
                {DNNL_ARG_WEIGHTS, kernel.buffer(backward.weights_desc())},
                {DNNL_ARG_DIFF_DST, kernel.buffer(backward.diff_dst_desc())}},
               times);
  } else {
    using Backward = dnnl::inner_product_backward_weights;
    const Backward::primitive_desc backward({src, weights, dst}, kernel.engine(), forward);
    kernel.add(Backward(backward),
               {{DNNL_ARG_SRC, kernel.buffer(backward.src_desc())},
                {DNNL_ARG_DIFF_WEIGHTS, kernel.buffer(backward.diff_weights_desc())},
                {DNNL_ARG_DIFF_DST, kernel.buffer(backward.diff_dst_desc())}},
               times);
  }
}

// A piece's window over its input, without padding: what work.h counts.
struct WindowShape {
  Dims src;
  Dims dst;
  Dims kernel;
  Dims strides;
  Dims padding = {0, 0};
};

WindowShape window_shape(const Operator& op, const Extents& extents, int64_t in_channels) {
  const Dims strides = {stride_of(op, 2), stride_of(op, 3)};
  return {{extents[0], in_channels, (extents[2] - 1) * strides[0] + op.kernel_h,
           (extents[3] - 1) * strides[1] + op.kernel_w},
          {extents[0], extents[1], extents[2], extents[3]},
          {op.kernel_h, op.kernel_w},
          strides};
}

void add_convolution(Sequence& kernel, const Operator& op, const Extents& extents, Phase phase) {
  const WindowShape shape = window_shape(op, extents, extents[4]);
  const auto src = any(shape.src);
  const auto weights = any({extents[1], extents[4], op.kernel_h, op.kernel_w});
  const auto dst = any(shape.dst);
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_auto;
  using Forward = dnnl::convolution_forward;
  const Forward::primitive_desc forward({prop_kind::forward_training, kAlgorithm, src, weights, dst,
                                         shape.strides, shape.padding, shape.padding},
                                        folded_relu(), kernel.engine());
  if (phase == Phase::kForward) {
    kernel.add(Forward(forward), {{DNNL_ARG_SRC, kernel.buffer(forward.src_desc())},
                                  {DNNL_ARG_WEIGHTS, kernel.buffer(forward.weights_desc())},
                                  {DNNL_ARG_DST, kernel.buffer(forward.dst_desc())}});
  } else if (phase == Phase::kBackwardInput) {
    using Backward = dnnl::convolution_backward_data;
    const Backward::primitive_desc backward(
        {kAlgorithm, src, weights, dst, shape.strides, shape.padding, shape.padding},
        kernel.engine(), forward);
    kernel.add(Backward(backward), {{DNNL_ARG_DIFF_SRC, kernel.buffer(backward.diff_src_desc())},
                                    {DNNL_ARG_WEIGHTS, kernel.buffer(backward.weights_desc())},
                                    {DNNL_ARG_DIFF_DST, kernel.buffer(backward.diff_dst_desc())}});
  } else {
    using Backward = dnnl::convolution_backward_weights;
    const Backward::primitive_desc backward(
        {kAlgorithm, src, weights, dst, shape.strides, shape.padding, shape.padding},
        kernel.engine(), forward);
    kernel.add(Backward(backward),
               {{DNNL_ARG_SRC, kernel.buffer(backward.src_desc())},
                {DNNL_ARG_DIFF_WEIGHTS, kernel.buffer(backward.diff_weights_desc())},
                {DNNL_ARG_DIFF_DST, kernel.buffer(backward.diff_dst_desc())}});
  }
}

void add_pooling(Sequence& kernel, const Operator& op, const Extents& extents, Phase phase) {
  const WindowShape shape = window_shape(op, extents, extents[1]);
  constexpr auto kAlgorithm = dnnl::algorithm::pooling_max;
  const memory::desc src(shape.src, memory::data_type::f32, Tag::nchw);
  const memory::desc dst(shape.dst, memory::data_type::f32, Tag::nchw);
  using Forward = dnnl::pooling_forward;
  const Forward::primitive_desc forward({prop_kind::forward_training, kAlgorithm, src, dst,
                                         shape.strides, shape.kernel, shape.padding, shape.padding},
                                        kernel.engine());
  const memory input = kernel.buffer(src);
  const memory output = kernel.buffer(dst);
  const memory chosen(forward.workspace_desc(), kernel.engine());
  Sequence once(kernel.engine());  // says which inputs were the largest
  once.add(Forward(forward),
           {{DNNL_ARG_SRC, input}, {DNNL_ARG_DST, output}, {DNNL_ARG_WORKSPACE, chosen}});
  once.run();
  if (phase == Phase::kForward) {
    kernel.add(Forward(forward),
               {{DNNL_ARG_SRC, input}, {DNNL_ARG_DST, output}, {DNNL_ARG_WORKSPACE, chosen}});
    return;
  }
  using Backward = dnnl::pooling_backward;
  const Backward::primitive_desc backward(
      {kAlgorithm, src, dst, shape.strides, shape.kernel, shape.padding, shape.padding},
      kernel.engine(), forward);
  kernel.add(
      Backward(backward),
      {{DNNL_ARG_DIFF_SRC, input}, {DNNL_ARG_DIFF_DST, output}, {DNNL_ARG_WORKSPACE, chosen}});
}

void add_softmax(Sequence& kernel, const memory::desc& desc, int axis, Phase phase) {
  using Forward = dnnl::softmax_forward;
  const Forward::primitive_desc forward({prop_kind::forward_training, desc, axis}, kernel.engine());
  if (phase == Phase::kForward) {
    kernel.add(Forward(forward),
               {{DNNL_ARG_SRC, kernel.buffer(desc)}, {DNNL_ARG_DST, kernel.buffer(desc)}});
    return;
  }
  using Backward = dnnl::softmax_backward;
  const Backward::primitive_desc backward({desc, desc, axis}, kernel.engine(), forward);
  kernel.add(Backward(backward), {{DNNL_ARG_DST, kernel.buffer(desc)},
                                  {DNNL_ARG_DIFF_DST, kernel.buffer(desc)},
                                  {DNNL_ARG_DIFF_SRC, kernel.buffer(desc)}});
}

void add_product(Sequence& kernel, const memory::desc& a, const memory::desc& b,
                 const memory::desc& c) {
  kernel.add(dnnl::matmul(dnnl::matmul::primitive_desc({a, b, c}, kernel.engine())),
             {{DNNL_ARG_SRC, kernel.buffer(a)},
              {DNNL_ARG_WEIGHTS, kernel.buffer(b)},
              {DNNL_ARG_DST, kernel.buffer(c)}});
}

// Scores (m x k)(k x n), softmax, sum (m x n)(n x k); backward both products give two.
void add_attention(Sequence& kernel, const Gemm& gemm, Phase phase) {
  const auto [batch, m, n, k, steps] = gemm;
  const auto scores = stack(batch, m, n);
  const auto vectors = stack(batch, m, k);
  if (phase == Phase::kForward) {
    add_product(kernel, vectors, transposed(batch, k, n), scores);
    add_softmax(kernel, scores, 2, phase);
    add_product(kernel, scores, stack(batch, n, k), vectors);
    return;
  }
  add_product(kernel, vectors, transposed(batch, k, n), scores);              // d probabilities
  add_product(kernel, transposed(batch, n, m), vectors, stack(batch, n, k));  // d values
  add_softmax(kernel, scores, 2, phase);
  add_product(kernel, scores, stack(batch, n, k), vectors);                   // d queries
  add_product(kernel, transposed(batch, n, m), vectors, stack(batch, n, k));  // d keys
}

// X X^T (m x k)(k x m) of every sample; backward (dG + dG^T) X.
void add_interaction(Sequence& kernel, const Gemm& gemm, Phase phase) {
  const auto products = stack(gemm.batch, gemm.m, gemm.n);
  const auto vectors = stack(gemm.batch, gemm.m, gemm.k);
  if (phase == Phase::kForward) {
    return add_product(kernel, vectors, transposed(gemm.batch, gemm.k, gemm.n), products);
  }
  add_product(kernel, products, vectors, vectors);
  add_product(kernel, transposed(gemm.batch, gemm.n, gemm.m), vectors, vectors);
}

void add_eltwise(Sequence& kernel, const memory::desc& desc, dnnl::algorithm algorithm, Phase phase,
                 int64_t times = 1) {
  using Forward = dnnl::eltwise_forward;
  const Forward::primitive_desc forward({prop_kind::forward_training, algorithm, desc},
                                        kernel.engine());
  if (phase == Phase::kForward) {
    kernel.add(Forward(forward),
               {{DNNL_ARG_SRC, kernel.buffer(desc)}, {DNNL_ARG_DST, kernel.buffer(desc)}}, times);
    return;
  }
  using Backward = dnnl::eltwise_backward;
  const Backward::primitive_desc backward({algorithm, desc, desc}, kernel.engine(), forward);
  kernel.add(Backward(backward),
             {{DNNL_ARG_SRC, kernel.buffer(desc)},
              {DNNL_ARG_DIFF_DST, kernel.buffer(desc)},
              {DNNL_ARG_DIFF_SRC, kernel.buffer(desc)}},
             times);
}

void add_sum(Sequence& kernel, const memory::desc& desc, const std::vector<float>& scales,
             int64_t times = 1) {
  const std::vector<memory::desc> sources(scales.size(), desc);
  const dnnl::sum::primitive_desc sum(desc, scales, sources, kernel.engine());
  std::unordered_map<int, memory> arguments = {{DNNL_ARG_DST, kernel.buffer(desc)}};
  for (size_t i = 0; i < scales.size(); ++i) {
    // The first is the destination: sums and updates are made in place.
    const memory source = i == 0 ? arguments[DNNL_ARG_DST] : kernel.buffer(desc);
    arguments[DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i)] = source;
  }
  kernel.add(dnnl::sum(sum), std::move(arguments), times);
}

void add_lstm(Sequence& kernel, const Gemm& gemm, Phase phase) {
  if (phase == Phase::kBackwardWeight) {
    add_linear(kernel, gemm.m * gemm.steps, gemm.n, gemm.k, phase);
    return;
  }
  add_linear(kernel, gemm.m, gemm.n, gemm.k, phase, gemm.steps);
  add_eltwise(kernel, rows(gemm.m, gemm.n), dnnl::algorithm::eltwise_logistic, phase, gemm.steps);
  add_sum(kernel, rows(gemm.m, gemm.n / 4), {1, 1, 1}, gemm.steps);
}

void add_normalisation(Sequence& kernel, int64_t count, int64_t channels, Phase phase) {
  const auto desc = rows(count, channels);
  const memory::desc statistics({count}, memory::data_type::f32, Tag::a);
  // The gradient of the input alone is only there without a scale and shift.
  const auto flags = phase == Phase::kBackwardInput ? dnnl::normalization_flags::none
                                                    : dnnl::normalization_flags::use_scale_shift;
  using Forward = dnnl::layer_normalization_forward;
  const Forward::primitive_desc forward(
      {prop_kind::forward_training, desc, statistics, 1e-5f, flags}, kernel.engine());
  std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, kernel.buffer(desc)},
                                               {DNNL_ARG_MEAN, kernel.buffer(statistics)},
                                               {DNNL_ARG_VARIANCE, kernel.buffer(statistics)}};
  if (phase != Phase::kBackwardInput) {
    arguments[DNNL_ARG_SCALE_SHIFT] = kernel.buffer(forward.weights_desc());
  }
  if (phase == Phase::kForward) {
    arguments[DNNL_ARG_DST] = kernel.buffer(desc);
    kernel.add(Forward(forward), std::move(arguments));
    return;
  }
  using Backward = dnnl::layer_normalization_backward;
  const auto what = phase == Phase::kBackwardInput ? prop_kind::backward_data : prop_kind::backward;
  const Backward::primitive_desc backward({what, desc, desc, statistics, 1e-5f, flags},
                                          kernel.engine(), forward);
  arguments[DNNL_ARG_DIFF_DST] = kernel.buffer(desc);
  arguments[DNNL_ARG_DIFF_SRC] = kernel.buffer(desc);
  if (phase == Phase::kBackwardWeight) {
    arguments[DNNL_ARG_DIFF_SCALE_SHIFT] = kernel.buffer(forward.weights_desc());
  }
  kernel.add(Backward(backward), std::move(arguments));
}

void add_elementwise(Sequence& kernel, const Operator& op, const Extents& extents, Phase phase) {
  const int64_t count = output_elements(op, extents);
  const int64_t length = extents[op.output_rank - 1];
  if (!op.weights.empty()) return add_normalisation(kernel, count / length, length, phase);
  if (op.inputs.size() == 1) {
    return add_eltwise(kernel, rows(1, count), dnnl::algorithm::eltwise_relu, phase);
  }
  add_sum(kernel, rows(1, count), std::vector<float>(op.inputs.size(), 1.0f));
}

class OneDnn : public KernelModule {
 public:
  std::string library() const override {
    const dnnl_version_t* version = dnnl_version();
    return str_cat("oneDNN ", version->major, ".", version->minor, ".", version->patch);
  }
  void enter_thread() override { omp_set_num_threads(1); }

  Result<std::unique_ptr<PreparedKernel>> prepare(const Operator& op, const Extents& extents,
                                                  Phase phase) override {
    const auto make = [&]() -> std::unique_ptr<PreparedKernel> {
      if (op.kind == OpKind::kEmbedding) {
        const int64_t channels = extents[op.output_rank - 1];
        return std::make_unique<Embedding>(output_elements(op, extents) / channels, channels,
                                           phase);
      }
      if (op.kind == OpKind::kEmbeddingBag) {  // its rows; their sum stays in registers
        return std::make_unique<Embedding>(extents[0] * extents[2], extents[1], phase);
      }
      if (op.kind == OpKind::kConcat) {
        return std::make_unique<Copy>(4 * static_cast<size_t>(output_elements(op, extents)));
      }
      auto kernel = std::make_unique<Sequence>(engine_);
      add_operator(*kernel, op, extents, phase);
      return kernel;
    };
    return guarded(to_string(op.kind), make);
  }

  Result<std::unique_ptr<PreparedKernel>> prepare(const StreamWork& work) override {
    if (work.kind > StreamWork::Kind::kCopy) {
      return Error{ErrorCode::kUsage, "a core has no memory of its own to copy to or from", {}};
    }
    const auto make = [&]() -> std::unique_ptr<PreparedKernel> {
      if (work.kind == StreamWork::Kind::kCopy) {
        return std::make_unique<Copy>(static_cast<size_t>(work.bytes.count()));
      }
      auto kernel = std::make_unique<Sequence>(engine_);
      const auto desc = rows(1, std::max<int64_t>(1, work.bytes.count() / 4));
      if (work.kind == StreamWork::Kind::kUpdate) {
        add_sum(*kernel, desc, {1.0f, -1e-3f});
      } else {
        add_sum(*kernel, desc, std::vector<float>(static_cast<size_t>(work.inputs), 1.0f));
      }
      return kernel;
    };
    return guarded("stream", make);
  }

 private:
  template <class Make>
  Result<std::unique_ptr<PreparedKernel>> guarded(const std::string& what, const Make& make) const {
    try {
      return make();
    } catch (const std::exception& error) {  // dnnl::error, std::bad_alloc
      return Error{ErrorCode::kEnvironment,
                   str_cat(library(), " cannot make a kernel for ", what, ": ", error.what()),
                   {}};
    }
  }

  static void add_operator(Sequence& kernel, const Operator& op, const Extents& extents,
                           Phase phase) {
    switch (op.kind) {
      case OpKind::kConv2d:
        return add_convolution(kernel, op, extents, phase);
      case OpKind::kPool2d:
        return add_pooling(kernel, op, extents, phase);
      case OpKind::kLinear: {
        const Gemm gemm = gemm_of(op, extents);
        return add_linear(kernel, gemm.m, gemm.n, gemm.k, phase);
      }
      case OpKind::kLstm:
        return add_lstm(kernel, gemm_of(op, extents), phase);
      case OpKind::kAttention:
        return add_attention(kernel, gemm_of(op, extents), phase);
      case OpKind::kInteraction:
        return add_interaction(kernel, gemm_of(op, extents), phase);
      case OpKind::kSoftmax: {
        const int64_t classes = extents[op.output_rank - 1];
        return add_softmax(kernel, rows(output_elements(op, extents) / classes, classes), 1, phase);
      }
      case OpKind::kElementwise:
        return add_elementwise(kernel, op, extents, phase);
      case OpKind::kInput:
      case OpKind::kEmbedding:
      case OpKind::kEmbeddingBag:
      case OpKind::kConcat:
        break;
    }
    SOAPBOX_CHECK(false, "prepared elsewhere, or without work");
  }

  dnnl::engine engine_ = dnnl::engine(dnnl::engine::kind::cpu, 0);
};

}  // namespace
}  // namespace soapbox::calib

extern "C" __attribute__((visibility("default"))) soapbox::calib::KernelModule*
soapbox_kernel_module(int abi, std::string*) {
  static soapbox::calib::OneDnn module;
  return abi == soapbox::calib::kKernelModuleAbi ? &module : nullptr;
}
