#include "calib/cuda/convolution.h"

#include <array>
#include <memory>

namespace soapbox::calib::cuda {
namespace {

cudnnDataType_t element(DataType type) {
  if (type == DataType::kBf16) return CUDNN_DATA_BFLOAT16;
  if (type == DataType::kFp16) return CUDNN_DATA_HALF;
  return CUDNN_DATA_FLOAT;
}

bool is_half(DataType type) {
  return type == DataType::kBf16 || type == DataType::kFp16;
}

cudnnTensorFormat_t format(DataType type) {
  return is_half(type) ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
}

int stride(const Operator& op, size_t dim) {
  return static_cast<int>(stride_of(op, dim));
}

// Samples, channels, height, width.
struct Shape {
  std::array<int, 4> size;
  int64_t count() const { return int64_t{size[0]} * size[1] * size[2] * size[3]; }
};

Shape input_shape(const Operator& op, const Extents& extents, int64_t channels) {
  return {{static_cast<int>(extents[0]), static_cast<int>(channels),
           static_cast<int>((extents[2] - 1) * stride_of(op, 2) + op.kernel_h),
           static_cast<int>((extents[3] - 1) * stride_of(op, 3) + op.kernel_w)}};
}

Shape output_shape(const Extents& extents) {
  return {{static_cast<int>(extents[0]), static_cast<int>(extents[1]), static_cast<int>(extents[2]),
           static_cast<int>(extents[3])}};
}

class Tensor {
 public:
  Tensor(const Shape& shape, DataType type) {
    check(cudnnCreateTensorDescriptor(&descriptor_));
    check(cudnnSetTensor4dDescriptor(descriptor_, format(type), element(type), shape.size[0],
                                     shape.size[1], shape.size[2], shape.size[3]));
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor() { cudnnDestroyTensorDescriptor(descriptor_); }
  cudnnTensorDescriptor_t get() const { return descriptor_; }

 private:
  cudnnTensorDescriptor_t descriptor_ = nullptr;
};

// The best-ranked algorithm that exists, fits and computes with the units that the type names.
template <class Ranked>
Ranked choose(const std::array<Ranked, 8>& ranked, int count, cudnnMathType_t math) {
  for (int i = 0; i < count; ++i) {
    const Ranked& one = ranked[static_cast<size_t>(i)];
    if (one.status != CUDNN_STATUS_SUCCESS || one.memory > Gpu::kWorkspaceBytes) continue;
    if (math == CUDNN_FMA_MATH && one.mathType == CUDNN_TENSOR_OP_MATH) continue;
    return one;
  }
  throw Failure("cuDNN: no algorithm for this convolution");
}

class Convolution {
 public:
  Convolution(const Operator& op, const Extents& extents)
      : input_shape_(input_shape(op, extents, extents[4])),
        output_shape_(output_shape(extents)),
        input_(input_shape_, op.type),
        output_(output_shape_, op.type),
        math_(op.type == DataType::kFp32 ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH) {
    check(cudnnCreateFilterDescriptor(&filter_));
    check(cudnnSetFilter4dDescriptor(filter_, element(op.type), format(op.type),
                                     static_cast<int>(extents[1]), static_cast<int>(extents[4]),
                                     static_cast<int>(op.kernel_h), static_cast<int>(op.kernel_w)));
    check(cudnnCreateConvolutionDescriptor(&convolution_));
    check(cudnnSetConvolution2dDescriptor(convolution_, 0, 0, stride(op, 2), stride(op, 3), 1, 1,
                                          CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    check(cudnnSetConvolutionMathType(convolution_, math_));
  }
  Convolution(const Convolution&) = delete;
  Convolution& operator=(const Convolution&) = delete;
  ~Convolution() {
    cudnnDestroyConvolutionDescriptor(convolution_);
    cudnnDestroyFilterDescriptor(filter_);
  }
  int64_t inputs() const { return input_shape_.count(); }
  int64_t outputs() const { return output_shape_.count(); }

  Launches::Step forward(const Gpu& gpu, const void* x, const void* w, void* y) const {
    int count = 0;
    std::array<cudnnConvolutionFwdAlgoPerf_t, 8> ranked{};
    check(cudnnGetConvolutionForwardAlgorithm_v7(gpu.cudnn(), input_.get(), filter_, convolution_,
                                                 output_.get(), 8, &count, ranked.data()));
    const auto best = choose(ranked, count, math_);
    return [this, &gpu, x, w, y, best](cudaStream_t) {
      const float one = 1;
      const float zero = 0;
      check(cudnnConvolutionForward(gpu.cudnn(), &one, input_.get(), x, filter_, w, convolution_,
                                    best.algo, gpu.workspace(), best.memory, &zero, output_.get(),
                                    y));
    };
  }
  Launches::Step backward_input(const Gpu& gpu, const void* w, const void* dy, void* dx) const {
    int count = 0;
    std::array<cudnnConvolutionBwdDataAlgoPerf_t, 8> ranked{};
    check(cudnnGetConvolutionBackwardDataAlgorithm_v7(
        gpu.cudnn(), filter_, output_.get(), convolution_, input_.get(), 8, &count, ranked.data()));
    const auto best = choose(ranked, count, math_);
    return [this, &gpu, w, dy, dx, best](cudaStream_t) {
      const float one = 1;
      const float zero = 0;
      check(cudnnConvolutionBackwardData(gpu.cudnn(), &one, filter_, w, output_.get(), dy,
                                         convolution_, best.algo, gpu.workspace(), best.memory,
                                         &zero, input_.get(), dx));
    };
  }
  Launches::Step backward_weight(const Gpu& gpu, const void* x, const void* dy, void* dw) const {
    int count = 0;
    std::array<cudnnConvolutionBwdFilterAlgoPerf_t, 8> ranked{};
    check(cudnnGetConvolutionBackwardFilterAlgorithm_v7(
        gpu.cudnn(), input_.get(), output_.get(), convolution_, filter_, 8, &count, ranked.data()));
    const auto best = choose(ranked, count, math_);
    return [this, &gpu, x, dy, dw, best](cudaStream_t) {
      const float one = 1;
      const float zero = 0;
      check(cudnnConvolutionBackwardFilter(gpu.cudnn(), &one, input_.get(), x, output_.get(), dy,
                                           convolution_, best.algo, gpu.workspace(), best.memory,
                                           &zero, filter_, dw));
    };
  }

 private:
  Shape input_shape_;
  Shape output_shape_;
  Tensor input_;
  Tensor output_;
  cudnnMathType_t math_;
  cudnnFilterDescriptor_t filter_ = nullptr;
  cudnnConvolutionDescriptor_t convolution_ = nullptr;
};

class Pooling {
 public:
  Pooling(const Operator& op, const Extents& extents)
      : input_shape_(input_shape(op, extents, extents[1])),
        output_shape_(output_shape(extents)),
        input_(input_shape_, op.type),
        output_(output_shape_, op.type) {
    check(cudnnCreatePoolingDescriptor(&pooling_));
    check(cudnnSetPooling2dDescriptor(pooling_, CUDNN_POOLING_MAX, CUDNN_NOT_PROPAGATE_NAN,
                                      static_cast<int>(op.kernel_h), static_cast<int>(op.kernel_w),
                                      0, 0, stride(op, 2), stride(op, 3)));
  }
  Pooling(const Pooling&) = delete;
  Pooling& operator=(const Pooling&) = delete;
  ~Pooling() { cudnnDestroyPoolingDescriptor(pooling_); }
  int64_t inputs() const { return input_shape_.count(); }
  int64_t outputs() const { return output_shape_.count(); }
  void forward(const Gpu& gpu, const void* x, void* y) const {
    const float one = 1;
    const float zero = 0;
    check(
        cudnnPoolingForward(gpu.cudnn(), pooling_, &one, input_.get(), x, &zero, output_.get(), y));
  }
  void backward(const Gpu& gpu, const void* y, const void* dy, const void* x, void* dx) const {
    const float one = 1;
    const float zero = 0;
    check(cudnnPoolingBackward(gpu.cudnn(), pooling_, &one, output_.get(), y, output_.get(), dy,
                               input_.get(), x, &zero, input_.get(), dx));
  }

 private:
  Shape input_shape_;
  Shape output_shape_;
  Tensor input_;
  Tensor output_;
  cudnnPoolingDescriptor_t pooling_ = nullptr;
};

}  // namespace

void add_convolution(Launches& kernel, const Operator& op, const Extents& extents, Phase phase) {
  const Gpu& gpu = kernel.gpu();
  const auto* one = kernel.keep(std::make_shared<Convolution>(op, extents));
  void* const input = kernel.buffer(one->inputs(), op.type);
  void* const output = kernel.buffer(one->outputs(), op.type);
  void* const weight = kernel.buffer(extents[1] * extents[4] * op.kernel_h * op.kernel_w, op.type);
  if (phase == Phase::kForward) {
    kernel.add(one->forward(gpu, input, weight, output));
  } else if (phase == Phase::kBackwardInput) {
    kernel.add(one->backward_input(gpu, weight, output, input));
  } else {
    kernel.add(one->backward_weight(gpu, input, output, weight));
  }
}

void add_pooling(Launches& kernel, const Operator& op, const Extents& extents, Phase phase) {
  const Gpu& gpu = kernel.gpu();
  const auto* one = kernel.keep(std::make_shared<Pooling>(op, extents));
  void* const x = kernel.buffer(one->inputs(), op.type);
  void* const y = kernel.buffer(one->outputs(), op.type);
  if (phase == Phase::kForward) {
    kernel.add([=, &gpu](cudaStream_t) { one->forward(gpu, x, y); });
    return;
  }
  one->forward(gpu, x, y);
  void* const dy = kernel.buffer(one->outputs(), op.type);
  void* const dx = kernel.buffer(one->inputs(), op.type);
  kernel.add([=, &gpu](cudaStream_t) { one->backward(gpu, y, dy, x, dx); });
}

}  // namespace soapbox::calib::cuda
