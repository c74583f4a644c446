#include "calib/cuda/elements.cuh"
#include "calib/cuda/kernels.h"

namespace soapbox::calib::cuda {
namespace {

__device__ uint32_t mixed(uint32_t x) {  // a hash with full avalanche
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ (x >> 16);
}

struct Relu {
  __device__ float operator()(float x, float) const { return fmaxf(x, 0.0f); }
};
struct ReluBackward {
  __device__ float operator()(float y, float dy) const { return y > 0 ? dy : 0.0f; }
};

// y[i] = f(a[i], b[i]); buffers are whole packs long.
template <class T, class Function>
__global__ void map_kernel(const T* a, const T* b, T* y, int64_t packs, Function f) {
  using Wide = Pack<T, kFullWidth<T>>;
  for (int64_t i = first(); i < packs; i += step()) {
    const Wide left = reinterpret_cast<const Wide*>(a)[i];
    Wide right = left;
    if (b != nullptr) right = reinterpret_cast<const Wide*>(b)[i];
    Wide out;
    for (int j = 0; j < kFullWidth<T>; ++j) {
      store(f(to_float(left.values[j]), to_float(right.values[j])), out.values[j]);
    }
    reinterpret_cast<Wide*>(y)[i] = out;
  }
}

template <class T>
__global__ void sum_kernel(Pointers inputs, T* y, int64_t packs) {
  using Wide = Pack<T, kFullWidth<T>>;
  for (int64_t i = first(); i < packs; i += step()) {
    float sums[kFullWidth<T>] = {};
    for (int k = 0; k < inputs.count; ++k) {
      const Wide in = static_cast<const Wide*>(inputs.inputs[k])[i];
      for (int j = 0; j < kFullWidth<T>; ++j) sums[j] += to_float(in.values[j]);
    }
    Wide out;
    for (int j = 0; j < kFullWidth<T>; ++j) store(sums[j], out.values[j]);
    reinterpret_cast<Wide*>(y)[i] = out;
  }
}

template <class T>
__global__ void fill_kernel(T* data, int64_t count, uint32_t seed) {
  for (int64_t i = first(); i < count; i += step()) {
    const uint32_t bits = mixed(static_cast<uint32_t>(i) ^ seed);
    store(static_cast<float>(bits >> 8) * 0x1p-24f - 0.5f, data[i]);
  }
}

// Eight-bit floats: sign at random, magnitude between 2^-2 and 2^-1 or so; never a NaN.
__global__ void fill_bytes_kernel(uint8_t* data, int64_t count, uint32_t seed) {
  for (int64_t i = first(); i < count; i += step()) {
    const uint32_t bits = mixed(static_cast<uint32_t>(i) ^ seed);
    data[i] = static_cast<uint8_t>((bits & 0x80U) | (0x28U + (bits & 0x07U)));
  }
}

__global__ void fill_indices_kernel(int32_t* data, int64_t count, int32_t limit, uint32_t seed) {
  for (int64_t i = first(); i < count; i += step()) {
    data[i] =
        static_cast<int32_t>(mixed(static_cast<uint32_t>(i) ^ seed) % static_cast<uint32_t>(limit));
  }
}

__global__ void update_kernel(float* weight, const float* gradient, int64_t packs) {
  for (int64_t i = first(); i < packs; i += step()) {
    float4 w = reinterpret_cast<float4*>(weight)[i];
    const float4 g = reinterpret_cast<const float4*>(gradient)[i];
    w.x -= 1e-3f * g.x;
    w.y -= 1e-3f * g.y;
    w.z -= 1e-3f * g.z;
    w.w -= 1e-3f * g.w;
    reinterpret_cast<float4*>(weight)[i] = w;
  }
}

template <class T>
__global__ void gather_kernel(const T* table, const int32_t* indices, T* out, int64_t count,
                              int64_t channels) {
  for (int64_t r = blockIdx.x; r < count; r += gridDim.x) {
    const T* row = table + indices[r] * channels;
    for (int64_t i = threadIdx.x; i < channels; i += blockDim.x) out[r * channels + i] = row[i];
  }
}

__global__ void scatter_add_kernel(float* table, const int32_t* indices, const float* in,
                                   int64_t count, int64_t channels) {
  for (int64_t r = blockIdx.x; r < count; r += gridDim.x) {
    float* row = table + indices[r] * channels;
    for (int64_t i = threadIdx.x; i < channels; i += blockDim.x) {
      atomicAdd(row + i, in[r * channels + i]);
    }
  }
}

__device__ float logistic(float x) {
  return 1 / (1 + __expf(-x));
}

template <class T>
__global__ void lstm_kernel(const T* gates, const T* cell, T* next_cell, T* out, int64_t rows,
                            int64_t hidden) {
  for (int64_t i = first(); i < rows * hidden; i += step()) {
    const T* g = gates + i / hidden * 4 * hidden + i % hidden;
    const float forget = logistic(to_float(g[0]));
    const float input = logistic(to_float(g[hidden]));
    const float output = logistic(to_float(g[2 * hidden]));
    const float candidate = tanhf(to_float(g[3 * hidden]));
    const float next = forget * to_float(cell[i]) + input * candidate;
    store(next, next_cell[i]);
    store(output * tanhf(next), out[i]);
  }
}

template <class T>
__global__ void lstm_backward_kernel(const T* gates, const T* cell, const T* dout, T* dgates,
                                     T* dcell, int64_t rows, int64_t hidden) {
  for (int64_t i = first(); i < rows * hidden; i += step()) {
    const int64_t at = i / hidden * 4 * hidden + i % hidden;
    const T* g = gates + at;
    T* d = dgates + at;
    const float forget = logistic(to_float(g[0]));
    const float input = logistic(to_float(g[hidden]));
    const float output = logistic(to_float(g[2 * hidden]));
    const float candidate = tanhf(to_float(g[3 * hidden]));
    const float before = to_float(cell[i]);
    const float state = tanhf(forget * before + input * candidate);
    const float gradient = to_float(dout[i]);
    const float dstate = gradient * output * (1 - state * state) + to_float(dcell[i]);
    store(dstate * before * forget * (1 - forget), d[0]);
    store(dstate * candidate * input * (1 - input), d[hidden]);
    store(gradient * state * output * (1 - output), d[2 * hidden]);
    store(dstate * input * (1 - candidate * candidate), d[3 * hidden]);
    store(dstate * forget, dcell[i]);
  }
}

}  // namespace

// Outside the namespace's mangling: traces tell them by name.
extern "C" __global__ void soapbox_mark() {}
extern "C" __global__ void soapbox_flush(float4* data, int64_t packs) {
  for (int64_t i = first(); i < packs; i += step()) data[i] = make_float4(0, 0, 0, 0);
}
extern "C" __global__ void soapbox_empty() {}
extern "C" __global__ void soapbox_wait(int64_t ns) {
  int64_t begin = 0;
  int64_t now = 0;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(begin));
  do {
    __nanosleep(500);
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  } while (now - begin < ns);
}

void launch_mark(cudaStream_t stream) {
  soapbox_mark<<<1, 1, 0, stream>>>();
}
void launch_empty(cudaStream_t stream) {
  soapbox_empty<<<1, 1, 0, stream>>>();
}
void launch_wait(int64_t ns, cudaStream_t stream) {
  soapbox_wait<<<1, 1, 0, stream>>>(ns);
}
void launch_flush(void* data, size_t bytes, cudaStream_t stream) {
  const auto packs = static_cast<int64_t>(bytes / sizeof(float4));
  soapbox_flush<<<blocks_for(packs), kThreads, 0, stream>>>(as<float4>(data), packs);
}

void launch_fill(void* data, int64_t count, DataType type, uint32_t seed, cudaStream_t stream) {
  if (type == DataType::kFp8) {
    fill_bytes_kernel<<<blocks_for(count), kThreads, 0, stream>>>(as<uint8_t>(data), count, seed);
    return;
  }
  with_type(type, [&](auto one) {
    using T = decltype(one);
    fill_kernel<<<blocks_for(count), kThreads, 0, stream>>>(as<T>(data), count, seed);
  });
}

void launch_fill_indices(int32_t* data, int64_t count, int32_t limit, uint32_t seed,
                         cudaStream_t stream) {
  fill_indices_kernel<<<blocks_for(count), kThreads, 0, stream>>>(data, count, limit, seed);
}

void launch_relu(const void* x, void* y, int64_t count, DataType type, cudaStream_t stream) {
  with_type(type, [&](auto one) {
    using T = decltype(one);
    const int64_t packs = packs_of<T>(count);
    map_kernel<<<blocks_for(packs), kThreads, 0, stream>>>(as<T>(x), static_cast<const T*>(nullptr),
                                                           as<T>(y), packs, Relu());
  });
}

void launch_relu_backward(const void* y, const void* dy, void* dx, int64_t count, DataType type,
                          cudaStream_t stream) {
  with_type(type, [&](auto one) {
    using T = decltype(one);
    const int64_t packs = packs_of<T>(count);
    map_kernel<<<blocks_for(packs), kThreads, 0, stream>>>(as<T>(y), as<T>(dy), as<T>(dx), packs,
                                                           ReluBackward());
  });
}

void launch_sum(const Pointers& inputs, void* out, int64_t count, DataType type,
                cudaStream_t stream) {
  with_type(type, [&](auto one) {
    using T = decltype(one);
    const int64_t packs = packs_of<T>(count);
    sum_kernel<<<blocks_for(packs), kThreads, 0, stream>>>(inputs, as<T>(out), packs);
  });
}

void launch_update(float* weight, const float* gradient, int64_t count, cudaStream_t stream) {
  const int64_t packs = packs_of<float>(count);
  update_kernel<<<blocks_for(packs), kThreads, 0, stream>>>(weight, gradient, packs);
}

void launch_gather(const void* table, const int32_t* indices, void* out, int64_t count,
                   int64_t channels, DataType type, cudaStream_t stream) {
  with_type(type, [&](auto one) {
    using T = decltype(one);
    gather_kernel<<<rows_blocks(count), threads_of(channels, 1), 0, stream>>>(
        as<T>(table), indices, as<T>(out), count, channels);
  });
}

void launch_scatter_add(float* table, const int32_t* indices, const float* in, int64_t count,
                        int64_t channels, cudaStream_t stream) {
  scatter_add_kernel<<<rows_blocks(count), threads_of(channels, 1), 0, stream>>>(table, indices, in,
                                                                                 count, channels);
}

void launch_lstm(const void* gates, const void* cell, void* next_cell, void* out, int64_t rows,
                 int64_t hidden, DataType type, cudaStream_t stream) {
  with_type(type, [&](auto one) {
    using T = decltype(one);
    lstm_kernel<<<blocks_for(rows * hidden), kThreads, 0, stream>>>(
        as<T>(gates), as<T>(cell), as<T>(next_cell), as<T>(out), rows, hidden);
  });
}

void launch_lstm_backward(const void* gates, const void* cell, const void* dout, void* dgates,
                          void* dcell, int64_t rows, int64_t hidden, DataType type,
                          cudaStream_t stream) {
  with_type(type, [&](auto one) {
    using T = decltype(one);
    lstm_backward_kernel<<<blocks_for(rows * hidden), kThreads, 0, stream>>>(
        as<T>(gates), as<T>(cell), as<T>(dout), as<T>(dgates), as<T>(dcell), rows, hidden);
  });
}

}  // namespace soapbox::calib::cuda
