// Kernels that reduce over rows: one block for each, which reads it again from the caches.
#include "calib/cuda/elements.cuh"
#include "calib/cuda/kernels.h"

namespace soapbox::calib::cuda {
namespace {

// Over the threads of a block, of up to two values at once; every thread gets the result.
template <class Function>
__device__ float2 block_reduce(float2 value, Function f) {
  __shared__ float2 parts[32];
  for (int offset = 16; offset > 0; offset /= 2) {
    value.x = f(value.x, __shfl_xor_sync(~0U, value.x, offset));
    value.y = f(value.y, __shfl_xor_sync(~0U, value.y, offset));
  }
  __syncthreads();  // of an earlier reduction, all have read
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  value = parts[0];
  for (unsigned i = 1; i < blockDim.x / 32; ++i) {
    value.x = f(value.x, parts[i].x);
    value.y = f(value.y, parts[i].y);
  }
  return value;
}

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Max {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
template <class T, int kWidth, class Function>
__device__ void for_row(const T* row, int64_t length, Function f) {
  using Wide = Pack<T, kWidth>;
  for (int64_t i = threadIdx.x; i < length / kWidth; i += blockDim.x) {
    const Wide in = reinterpret_cast<const Wide*>(row)[i];
    for (int j = 0; j < kWidth; ++j) f(i * kWidth + j, to_float(in.values[j]));
  }
}

// out[i] = f(i, a[i]) for one row.
template <class T, int kWidth, class Function>
__device__ void map_row(const T* a, T* out, int64_t length, Function f) {
  using Wide = Pack<T, kWidth>;
  for (int64_t i = threadIdx.x; i < length / kWidth; i += blockDim.x) {
    const Wide in = reinterpret_cast<const Wide*>(a)[i];
    Wide result;
    for (int j = 0; j < kWidth; ++j) {
      store(f(i * kWidth + j, to_float(in.values[j])), result.values[j]);
    }
    reinterpret_cast<Wide*>(out)[i] = result;
  }
}

// One block for each row; a row is read again from the caches.
template <class T, int kWidth>
__global__ void softmax_kernel(const T* x, T* y, int64_t rows, int64_t length) {
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const T* row = x + r * length;
    float2 most = {-INFINITY, 0};
    for_row<T, kWidth>(row, length, [&](int64_t, float v) { most.x = fmaxf(most.x, v); });
    most = block_reduce(most, Max());
    float2 sum = {0, 0};
    for_row<T, kWidth>(row, length, [&](int64_t, float v) { sum.x += __expf(v - most.x); });
    sum = block_reduce(sum, Add());
    map_row<T, kWidth>(row, y + r * length, length,
                       [&](int64_t, float v) { return __expf(v - most.x) / sum.x; });
  }
}

template <class T, int kWidth>
__global__ void softmax_backward_kernel(const T* y, const T* dy, T* dx, int64_t rows,
                                        int64_t length) {
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const T* row = y + r * length;
    const T* gradient = dy + r * length;
    float2 dot = {0, 0};
    for_row<T, kWidth>(row, length,
                       [&](int64_t i, float v) { dot.x += v * to_float(gradient[i]); });
    dot = block_reduce(dot, Add());
    map_row<T, kWidth>(row, dx + r * length, length,
                       [&](int64_t i, float v) { return v * (to_float(gradient[i]) - dot.x); });
  }
}

template <class T, int kWidth>
__global__ void layer_norm_kernel(const T* x, const float* scale, T* y, float* statistics,
                                  int64_t rows, int64_t length) {
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const T* row = x + r * length;
    float2 sums = {0, 0};
    for_row<T, kWidth>(row, length, [&](int64_t, float v) {
      sums.x += v;
      sums.y += v * v;
    });
    sums = block_reduce(sums, Add());
    const float mean = sums.x / static_cast<float>(length);
    const float variance = sums.y / static_cast<float>(length) - mean * mean;
    const float inverse = rsqrtf(variance + 1e-5f);
    if (threadIdx.x == 0) {
      statistics[2 * r] = mean;
      statistics[2 * r + 1] = inverse;
    }
    map_row<T, kWidth>(row, y + r * length, length,
                       [&](int64_t i, float v) { return (v - mean) * inverse * scale[i]; });
  }
}

template <class T, int kWidth>
__global__ void layer_norm_backward_kernel(const T* x, const T* dy, const float* scale,
                                           const float* statistics, T* dx, int64_t rows,
                                           int64_t length) {
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const T* row = x + r * length;
    const T* gradient = dy + r * length;
    const float mean = statistics[2 * r];
    const float inverse = statistics[2 * r + 1];
    float2 sums = {0, 0};
    for_row<T, kWidth>(row, length, [&](int64_t i, float v) {
      const float g = to_float(gradient[i]) * scale[i];
      sums.x += g;
      sums.y += g * (v - mean) * inverse;
    });
    sums = block_reduce(sums, Add());
    const float shift = sums.x / static_cast<float>(length);
    const float slope = sums.y / static_cast<float>(length);
    map_row<T, kWidth>(row, dx + r * length, length, [&](int64_t i, float v) {
      const float g = to_float(gradient[i]) * scale[i];
      return inverse * (g - shift - (v - mean) * inverse * slope);
    });
  }
}

// A thread for each column and share of the rows.
template <class T>
__global__ void layer_norm_weights_kernel(const T* x, const T* dy, const float* statistics,
                                          float* dscale, int64_t rows, int64_t length) {
  const int64_t column = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (column >= length) return;
  float sum = 0;
  for (int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    const float v = to_float(x[r * length + column]);
    sum += to_float(dy[r * length + column]) * (v - statistics[2 * r]) * statistics[2 * r + 1];
  }
  atomicAdd(dscale + column, sum);
}

}  // namespace

// Chooses the widest access that rows are aligned for.
#define SOAPBOX_ROWS(kernel, ...)                                                                  \
  with_type(type, [&](auto one) {                                                                  \
    using T = decltype(one);                                                                       \
    constexpr int kWide = kFullWidth<T>;                                                           \
    if (length % kWide == 0) {                                                                     \
      kernel<T, kWide><<<rows_blocks(rows), threads_of(length, kWide), 0, stream>>>(__VA_ARGS__,   \
                                                                                    rows, length); \
    } else {                                                                                       \
      kernel<T, 1>                                                                                 \
          <<<rows_blocks(rows), threads_of(length, 1), 0, stream>>>(__VA_ARGS__, rows, length);    \
    }                                                                                              \
  })

void launch_softmax(const void* x, void* y, int64_t rows, int64_t length, DataType type,
                    cudaStream_t stream) {
  SOAPBOX_ROWS(softmax_kernel, as<T>(x), as<T>(y));
}

void launch_softmax_backward(const void* y, const void* dy, void* dx, int64_t rows, int64_t length,
                             DataType type, cudaStream_t stream) {
  SOAPBOX_ROWS(softmax_backward_kernel, as<T>(y), as<T>(dy), as<T>(dx));
}

void launch_layer_norm(const void* x, const float* scale, void* y, float* statistics, int64_t rows,
                       int64_t length, DataType type, cudaStream_t stream) {
  SOAPBOX_ROWS(layer_norm_kernel, as<T>(x), scale, as<T>(y), statistics);
}

void launch_layer_norm_backward(const void* x, const void* dy, const float* scale,
                                const float* statistics, void* dx, int64_t rows, int64_t length,
                                DataType type, cudaStream_t stream) {
  SOAPBOX_ROWS(layer_norm_backward_kernel, as<T>(x), as<T>(dy), scale, statistics, as<T>(dx));
}
#undef SOAPBOX_ROWS

void launch_layer_norm_weights(const void* x, const void* dy, const float* statistics,
                               float* dscale, int64_t rows, int64_t length, DataType type,
                               cudaStream_t stream) {
  constexpr int64_t kRowsEach = 64;
  const dim3 grid(static_cast<unsigned>((length + kThreads - 1) / kThreads),
                  static_cast<unsigned>((rows + kRowsEach - 1) / kRowsEach > 1024
                                            ? 1024
                                            : (rows + kRowsEach - 1) / kRowsEach));
  with_type(type, [&](auto one) {
    using T = decltype(one);
    layer_norm_weights_kernel<<<grid, kThreads, 0, stream>>>(as<T>(x), as<T>(dy), statistics,
                                                             dscale, rows, length);
  });
}

}  // namespace soapbox::calib::cuda
