// What kernels share: element types, wide accesses, launch sizes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "calib/cuda/kernels.h"

namespace soapbox::calib::cuda {

inline constexpr int kThreads = 256;
inline constexpr int kMostBlocks = 1 << 16;

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ inline float to_float(__half x) {
  return __half2float(x);
}
__device__ inline void store(float x, float& out) {
  out = x;
}
__device__ inline void store(float x, __nv_bfloat16& out) {
  out = __float2bfloat16(x);
}
__device__ inline void store(float x, __half& out) {
  out = __float2half(x);
}

// kWidth elements that are moved by one access.
template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  T values[kWidth];
};

template <class T>
inline constexpr int kFullWidth = 16 / sizeof(T);

__device__ inline int64_t first() {
  return blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
}
__device__ inline int64_t step() {
  return gridDim.x * int64_t{blockDim.x};
}

inline int blocks_for(int64_t threads) {
  const int64_t blocks = (threads + kThreads - 1) / kThreads;
  return static_cast<int>(blocks < 1 ? 1 : blocks > kMostBlocks ? kMostBlocks : blocks);
}

// Calls f with a value of the element type.
template <class Function>
void with_type(DataType type, Function f) {
  if (type == DataType::kBf16) return f(__nv_bfloat16());
  if (type == DataType::kFp16) return f(__half());
  return f(float());
}

template <class T>
int64_t packs_of(int64_t count) {
  return (count + kFullWidth<T> - 1) / kFullWidth<T>;
}

inline int threads_of(int64_t length, int width) {
  const int64_t wanted = (length / width + 31) / 32 * 32;
  return static_cast<int>(wanted < 32 ? 32 : wanted > 1024 ? 1024 : wanted);
}

inline int rows_blocks(int64_t rows) {
  return static_cast<int>(rows > kMostBlocks ? kMostBlocks : rows);
}

template <class T>
const T* as(const void* data) {
  return static_cast<const T*>(data);
}
template <class T>
T* as(void* data) {
  return static_cast<T*>(data);
}

}  // namespace soapbox::calib::cuda
