#include "calib/cuda/operators.h"

#include <algorithm>

#include "calib/cuda/convolution.h"
#include "calib/cuda/product.h"
#include "sim/base/str.h"

namespace soapbox::calib::cuda {
namespace {

void add_linear(Launches& kernel, const Gemm& gemm, DataType type, Phase phase) {
  Product product{.m = gemm.m, .n = gemm.n, .k = gemm.k, .type = type};
  if (phase == Phase::kForward) {
    product.relu = gemm.steps == 1;
    product.times = gemm.steps;
  } else if (phase == Phase::kBackwardInput) {
    std::swap(product.n, product.k);
    product.layout = Layout::kNn;
    product.times = gemm.steps;
  } else {
    product = {
        .m = gemm.n, .n = gemm.k, .k = gemm.m * gemm.steps, .layout = Layout::kNt, .type = type};
  }
  add_product(kernel, product);
}

// Every step: the product of all four gates, then the pointwise rest.
void add_lstm(Launches& kernel, const Gemm& gemm, DataType type, Phase phase) {
  if (phase == Phase::kBackwardWeight) return add_linear(kernel, gemm, type, phase);
  Gemm once = gemm;
  once.steps = 1;
  const int64_t hidden = gemm.n / 4;
  const int64_t cells = gemm.m * hidden;
  void* const gates = kernel.buffer(4 * cells, type);
  void* const cell = kernel.buffer(cells, type);
  void* const out = kernel.buffer(cells, type);
  const auto product = std::make_shared<Launches>(kernel.gpu());
  add_linear(*product, once, type, phase);
  kernel.keep(product);
  if (phase == Phase::kForward) {
    void* const next = kernel.buffer(cells, type);
    kernel.add([=, p = product.get(), steps = gemm.steps, rows = gemm.m](cudaStream_t stream) {
      for (int64_t i = 0; i < steps; ++i) {
        p->launch(stream);
        launch_lstm(gates, cell, next, out, rows, hidden, type, stream);
      }
    });
    return;
  }
  void* const dgates = kernel.buffer(4 * cells, type);
  void* const dcell = kernel.buffer(cells, type);
  kernel.add([=, p = product.get(), steps = gemm.steps, rows = gemm.m](cudaStream_t stream) {
    for (int64_t i = 0; i < steps; ++i) {
      launch_lstm_backward(gates, cell, out, dgates, dcell, rows, hidden, type, stream);
      p->launch(stream);
    }
  });
}

void add_softmax(Launches& kernel, int64_t rows, int64_t length, DataType type, Phase phase) {
  void* const x = kernel.buffer(rows * length, type);
  void* const y = kernel.buffer(rows * length, type);
  if (phase == Phase::kForward) {
    kernel.add([=](cudaStream_t stream) { launch_softmax(x, y, rows, length, type, stream); });
    return;
  }
  void* const dx = kernel.buffer(rows * length, type);
  kernel.add(
      [=](cudaStream_t stream) { launch_softmax_backward(y, x, dx, rows, length, type, stream); });
}

// Scores (m x k)(n x k)^T, softmax, sum (m x n)(n x k); backward both products give two.
void add_attention(Launches& kernel, const Gemm& gemm, DataType type, Phase phase) {
  const auto [batch, m, n, k, steps] = gemm;
  const auto product = [&, batch = batch](int64_t rows, int64_t columns, int64_t sum,
                                          Layout layout) {
    add_product(
        kernel,
        {.batch = batch, .m = rows, .n = columns, .k = sum, .layout = layout, .type = type});
  };
  if (phase == Phase::kForward) {
    product(m, n, k, Layout::kTn);
    add_softmax(kernel, batch * m, n, type, phase);
    product(m, k, n, Layout::kNn);
    return;
  }
  product(m, n, k, Layout::kTn);  // d probabilities
  product(n, k, m, Layout::kNt);  // d values
  add_softmax(kernel, batch * m, n, type, phase);
  product(m, k, n, Layout::kNn);  // d queries
  product(n, k, m, Layout::kNt);  // d keys
}

// X X^T of every sample; backward (dG + dG^T) X.
void add_interaction(Launches& kernel, const Gemm& gemm, DataType type, Phase phase) {
  const auto product = [&](int64_t columns, int64_t sum, Layout layout) {
    add_product(
        kernel,
        {.batch = gemm.batch, .m = gemm.m, .n = columns, .k = sum, .layout = layout, .type = type});
  };
  if (phase == Phase::kForward) return product(gemm.n, gemm.k, Layout::kTn);
  product(gemm.k, gemm.n, Layout::kNn);
  product(gemm.k, gemm.n, Layout::kNt);
}

void add_normalisation(Launches& kernel, int64_t rows, int64_t length, DataType type, Phase phase) {
  void* const x = kernel.buffer(rows * length, type);
  float* const statistics = kernel.floats(2 * rows);
  float* const scale = kernel.floats(length);
  void* const y = kernel.buffer(rows * length, type);
  if (phase == Phase::kForward) {
    kernel.add([=](cudaStream_t stream) {
      launch_layer_norm(x, scale, y, statistics, rows, length, type, stream);
    });
  } else if (phase == Phase::kBackwardInput) {
    void* const dx = kernel.buffer(rows * length, type);
    kernel.add([=](cudaStream_t stream) {
      launch_layer_norm_backward(x, y, scale, statistics, dx, rows, length, type, stream);
    });
  } else {
    kernel.add([=](cudaStream_t stream) {
      launch_layer_norm_weights(x, y, statistics, scale, rows, length, type, stream);
    });
  }
}

void add_sum(Launches& kernel, int64_t count, int64_t inputs, DataType type, bool in_place) {
  Pointers pointers{};
  pointers.count = static_cast<int>(std::min<int64_t>(inputs, kMostInputs));
  for (int i = 0; i < pointers.count; ++i) pointers.inputs[i] = kernel.buffer(count, type);
  void* const out = in_place ? const_cast<void*>(pointers.inputs[0]) : kernel.buffer(count, type);
  kernel.add([=](cudaStream_t stream) { launch_sum(pointers, out, count, type, stream); });
}

void add_elementwise(Launches& kernel, const Operator& op, const Extents& extents, Phase phase) {
  const int64_t count = output_elements(op, extents);
  const int64_t length = extents[op.output_rank - 1];
  const DataType type = op.type;
  if (!op.weights.empty()) {
    return add_normalisation(kernel, count / length, length, type, phase);
  }
  if (op.inputs.size() > 1) {
    return add_sum(kernel, count, static_cast<int64_t>(op.inputs.size()), type, false);
  }
  void* const x = kernel.buffer(count, type);
  void* const y = kernel.buffer(count, type);
  if (phase == Phase::kForward) {
    kernel.add([=](cudaStream_t stream) { launch_relu(x, y, count, type, stream); });
    return;
  }
  void* const dx = kernel.buffer(count, type);
  kernel.add([=](cudaStream_t stream) { launch_relu_backward(y, x, dx, count, type, stream); });
}

// Rows of a table far larger than the caches, at random; backward they are added to.
// Of an embedding bag the rows: their sum stays in registers.
void add_embedding(Launches& kernel, const Operator& op, const Extents& extents, Phase phase) {
  constexpr int64_t kTableElements = int64_t{1} << 28;
  const int64_t channels = extents[op.output_rank - 1];
  const int64_t lookups = op.kind == OpKind::kEmbeddingBag ? extents[op.output_rank] : 1;
  const int64_t count = output_elements(op, extents) / channels * lookups;
  const int64_t rows = kTableElements / channels;
  const int32_t* const indices = kernel.indices(count, static_cast<int32_t>(rows));
  if (phase == Phase::kForward) {
    const DataType type = op.type;
    const void* const table = kernel.buffer(rows * channels, type);
    void* const out = kernel.buffer(count * channels, type);
    kernel.add([=](cudaStream_t stream) {
      launch_gather(table, indices, out, count, channels, type, stream);
    });
    return;
  }
  float* const table = kernel.floats(rows * channels);
  const float* const in = kernel.floats(count * channels);
  kernel.add([=](cudaStream_t stream) {
    launch_scatter_add(table, indices, in, count, channels, stream);
  });
}

void add_copy(Launches& kernel, size_t bytes) {
  void* const from = kernel.buffer(static_cast<int64_t>(bytes), DataType::kFp8);
  void* const to = kernel.space(bytes);
  kernel.add([=](cudaStream_t stream) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream));
  });
}

// Memory of the host that the system may move: a copy goes through the driver's own pinned memory.
struct Pageable {
  explicit Pageable(size_t bytes) : data(bytes, 1) {}
  std::vector<char> data;
};

void add_host_copy(Launches& kernel, StreamWork::Kind kind, size_t bytes) {
  void* const device = kernel.buffer(static_cast<int64_t>(bytes), DataType::kFp8);
  const bool pageable =
      kind == StreamWork::Kind::kToDevicePageable || kind == StreamWork::Kind::kFromDevicePageable;
  void* const host =
      pageable ? kernel.keep(std::make_shared<Pageable>(bytes))->data.data() : kernel.pinned(bytes);
  const bool to_device =
      kind == StreamWork::Kind::kToDevice || kind == StreamWork::Kind::kToDevicePageable;
  kernel.set_counts(Launches::Counts::kCopies);
  kernel.run_on(kernel.gpu().link_stream(to_device ? Gpu::Link::kFromHost : Gpu::Link::kToHost));
  kernel.add([=](cudaStream_t stream) {
    check(cudaMemcpyAsync(to_device ? device : host, to_device ? host : device, bytes,
                          to_device ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost, stream));
  });
}

// Events between the two streams.
struct Fork {
  Fork() {
    check(cudaEventCreateWithFlags(&begin, cudaEventDisableTiming));
    check(cudaEventCreateWithFlags(&end, cudaEventDisableTiming));
  }
  Fork(const Fork&) = delete;
  Fork& operator=(const Fork&) = delete;
  ~Fork() {
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
  }
  // Runs `other` on the second stream beside what `own` gives the first.
  template <class Own, class Other>
  void run(cudaStream_t first, cudaStream_t second, const Own& own, const Other& other) const {
    check(cudaEventRecord(begin, first));
    check(cudaStreamWaitEvent(second, begin));
    other(second);
    own(first);
    check(cudaEventRecord(end, second));
    check(cudaStreamWaitEvent(first, end));
  }
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
};

void add_both_ways(Launches& kernel, size_t bytes) {
  void* const a = kernel.buffer(static_cast<int64_t>(bytes), DataType::kFp8);
  void* const b = kernel.buffer(static_cast<int64_t>(bytes), DataType::kFp8);
  void* const host_a = kernel.pinned(bytes);
  void* const host_b = kernel.pinned(bytes);
  const Fork* const fork = kernel.keep(std::make_shared<Fork>());
  kernel.set_counts(Launches::Counts::kCopies);
  kernel.add([=, second = kernel.gpu().second_stream()](cudaStream_t stream) {
    fork->run(
        stream, second,
        [&](cudaStream_t s) {
          check(cudaMemcpyAsync(a, host_a, bytes, cudaMemcpyHostToDevice, s));
        },
        [&](cudaStream_t s) {
          check(cudaMemcpyAsync(host_b, b, bytes, cudaMemcpyDeviceToHost, s));
        });
  });
}

// A copy between two GPUs, given to the first one's stream.
void copy_between(void* to, int to_gpu, const void* from, int from_gpu, bool reached, size_t bytes,
                  cudaStream_t stream) {
  if (reached) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream));
  } else {
    check(cudaMemcpyPeerAsync(to, to_gpu, from, from_gpu, bytes, stream));
  }
}

void add_to_peer(Launches& kernel, size_t bytes, int peer) {
  const void* const here = kernel.buffer(static_cast<int64_t>(bytes), DataType::kFp8);
  void* const there = kernel.on_peer(bytes, peer);
  const bool reached = kernel.gpu().reach(peer);
  kernel.set_counts(Launches::Counts::kCopies);
  kernel.run_on(kernel.gpu().link_stream(Gpu::Link::kToPeer, peer));
  kernel.add([=, own = kernel.gpu().number()](cudaStream_t stream) {
    copy_between(there, peer, here, own, reached, bytes, stream);
  });
}

void add_both_ways_peer(Launches& kernel, size_t bytes, int peer) {
  const void* const here = kernel.buffer(static_cast<int64_t>(bytes), DataType::kFp8);
  void* const there = kernel.on_peer(bytes, peer);
  void* const from_there = kernel.on_peer(bytes, peer);
  void* const to_here = kernel.space(bytes);
  const bool reached = kernel.gpu().reach(peer);
  const int own = kernel.gpu().number();
  copy_between(from_there, peer, here, own, reached, bytes, kernel.gpu().stream());
  const Fork* const fork = kernel.keep(std::make_shared<Fork>());
  kernel.set_counts(Launches::Counts::kCopies);
  kernel.add([=, second = kernel.gpu().second_stream()](cudaStream_t stream) {
    fork->run(
        stream, second,
        [&](cudaStream_t s) { copy_between(there, peer, here, own, reached, bytes, s); },
        [&](cudaStream_t s) { copy_between(to_here, own, from_there, peer, reached, bytes, s); });
  });
}

// A product of bf16 matrices beside a longer copy to the device, or such a copy beside a row of
// products. (Beside a copy that ends first its record goes on until they do, so it must not.)
void add_overlap(Launches& kernel, StreamWork::Kind kind, size_t bytes) {
  constexpr int64_t kSide = 4096;
  constexpr int kCompany = 96;  // products of some 0.2 ms beside a copy
  const auto product = std::make_shared<Launches>(kernel.gpu());
  add_product(*product, {.m = kSide, .n = kSide, .k = kSide, .type = DataType::kBf16});
  kernel.keep(product);
  kernel.set_counts(Launches::Counts::kKernels);
  if (kind == StreamWork::Kind::kProduct) {
    kernel.add([p = product.get()](cudaStream_t stream) { p->launch(stream); });
    return;
  }
  void* const device = kernel.buffer(static_cast<int64_t>(bytes), DataType::kFp8);
  void* const host = kernel.pinned(bytes);
  const bool copy_counts = kind == StreamWork::Kind::kCopyBesideProduct;
  if (copy_counts) kernel.set_counts(Launches::Counts::kCopies);
  const Fork* const fork = kernel.keep(std::make_shared<Fork>());
  kernel.add([=, p = product.get(), second = kernel.gpu().second_stream()](cudaStream_t stream) {
    fork->run(
        stream, second,
        [&](cudaStream_t s) {
          for (int i = 0; i < (copy_counts ? kCompany : 1); ++i) p->launch(s);
        },
        [&](cudaStream_t s) {
          check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, s));
        });
  });
}

}  // namespace

void add_operator(Launches& kernel, const Operator& op, const Extents& extents, Phase phase) {
  switch (op.kind) {
    case OpKind::kConv2d:
      return add_convolution(kernel, op, extents, phase);
    case OpKind::kPool2d:
      return add_pooling(kernel, op, extents, phase);
    case OpKind::kLinear:
      return add_linear(kernel, gemm_of(op, extents), op.type, phase);
    case OpKind::kLstm:
      return add_lstm(kernel, gemm_of(op, extents), op.type, phase);
    case OpKind::kAttention:
      return add_attention(kernel, gemm_of(op, extents), op.type, phase);
    case OpKind::kInteraction:
      return add_interaction(kernel, gemm_of(op, extents), op.type, phase);
    case OpKind::kSoftmax: {
      const int64_t classes = extents[op.output_rank - 1];
      return add_softmax(kernel, output_elements(op, extents) / classes, classes, op.type, phase);
    }
    case OpKind::kElementwise:
      return add_elementwise(kernel, op, extents, phase);
    case OpKind::kEmbedding:
    case OpKind::kEmbeddingBag:
      return add_embedding(kernel, op, extents, phase);
    case OpKind::kConcat:
      return add_copy(kernel, static_cast<size_t>(output_elements(op, extents)) *
                                  static_cast<size_t>(size_bytes(op.type)));
    case OpKind::kInput:
      break;
  }
  throw Failure("an input has no work");
}

void add_stream(Launches& kernel, const StreamWork& work) {
  const auto bytes = static_cast<size_t>(work.bytes.count());
  const int64_t count = std::max<int64_t>(1, work.bytes.count() / 4);
  switch (work.kind) {
    case StreamWork::Kind::kUpdate: {
      float* const weight = kernel.floats(count);
      const float* const gradient = kernel.floats(count);
      return kernel.add(
          [=](cudaStream_t stream) { launch_update(weight, gradient, count, stream); });
    }
    case StreamWork::Kind::kSum:
      return add_sum(kernel, count, work.inputs, DataType::kFp32, true);
    case StreamWork::Kind::kCopy:
      return add_copy(kernel, bytes);
    case StreamWork::Kind::kLaunch:
      return kernel.add([](cudaStream_t stream) { launch_empty(stream); });
    case StreamWork::Kind::kToDevice:
    case StreamWork::Kind::kFromDevice:
    case StreamWork::Kind::kToDevicePageable:
    case StreamWork::Kind::kFromDevicePageable:
      return add_host_copy(kernel, work.kind, bytes);
    case StreamWork::Kind::kBothWays:
      return add_both_ways(kernel, bytes);
    case StreamWork::Kind::kToPeer:
      return add_to_peer(kernel, bytes, static_cast<int>(work.peer));
    case StreamWork::Kind::kBothWaysPeer:
      return add_both_ways_peer(kernel, bytes, static_cast<int>(work.peer));
    case StreamWork::Kind::kProduct:
    case StreamWork::Kind::kProductBesideCopy:
    case StreamWork::Kind::kCopyBesideProduct:
      return add_overlap(kernel, work.kind, bytes);
    case StreamWork::Kind::kLoopback:
      break;
  }
  throw Failure("no such stream");
}

}  // namespace soapbox::calib::cuda
