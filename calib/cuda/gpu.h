// One GPU: its streams, library handles, workspace and memory.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "sim/model/op.h"

namespace soapbox::calib::cuda {

class Gpu;

// Memory of the device, or pinned memory of the host.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        stream_(other.stream_),
        pinned_(other.pinned_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(stream_, other.stream_);
    std::swap(pinned_, other.pinned_);
    return *this;
  }
  ~Buffer();
  static Buffer on_device(size_t bytes, cudaStream_t stream);
  static Buffer pinned(size_t bytes);
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  cudaStream_t stream_ = nullptr;
  bool pinned_ = false;
};

// Everything throws Failure (check.h).
class Gpu {
 public:
  Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;
  ~Gpu();

  cudaStream_t stream() const { return stream_; }
  cudaStream_t second_stream() const { return second_stream_; }
  cublasLtHandle_t cublas() const { return cublas_; }
  cudnnHandle_t cudnn() const { return cudnn_; }
  const cudaDeviceProp& properties() const { return properties_; }
  // Shared by all kernels of the first stream.
  void* workspace() const { return workspace_.data(); }
  static constexpr size_t kWorkspaceBytes = size_t{1} << 30;
  // Buffers whose contents push all others out of the second-level cache.
  void flush(cudaStream_t stream) const;
  void wait() const;  // for everything on the first stream

 private:
  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  cudaStream_t second_stream_ = nullptr;
  cublasLtHandle_t cublas_ = nullptr;
  cudnnHandle_t cudnn_ = nullptr;
  Buffer workspace_;
  Buffer flush_;
  size_t flush_bytes_ = 0;
};

}  // namespace soapbox::calib::cuda
