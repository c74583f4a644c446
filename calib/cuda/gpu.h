// One GPU: its streams, library handles, workspace and memory.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "sim/model/op.h"

namespace soapbox::calib::cuda {

class Gpu;

// Memory of the device, of another one, or pinned memory of the host.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), stream_(other.stream_), place_(other.place_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(stream_, other.stream_);
    std::swap(place_, other.place_);
    return *this;
  }
  ~Buffer();
  static Buffer on_device(size_t bytes, cudaStream_t stream);
  static Buffer pinned(size_t bytes);
  // On the current device, and not of the streams' pool: other devices may be given access to it.
  static Buffer shared(size_t bytes);
  void* data() const { return data_; }

 private:
  enum class Place : uint8_t { kPool, kShared, kHost };
  void* data_ = nullptr;
  cudaStream_t stream_ = nullptr;
  Place place_ = Place::kPool;
};

// Everything throws Failure (check.h). Work is given to a GPU by threads that use it.
class Gpu {
 public:
  explicit Gpu(int number = 0);
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;
  ~Gpu();

  int number() const { return number_; }
  void use() const;  // on this thread, from now on
  // Copies over different links run beside each other and beside stream(), those over one link one
  // after the other. Not for several threads at once.
  enum class Link : uint8_t { kToHost, kFromHost, kToPeer };
  cudaStream_t link_stream(Link link, int peer = 0) const;
  // Lets this one access the other's shared buffers. False: it cannot, and copies to and from them
  // go through the host.
  bool reach(int peer) const;
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
  void wait() const;       // for everything on the first stream
  void give_back() const;  // what buffers had and nobody has now: others cannot use it before

 private:
  int number_;
  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  cudaStream_t second_stream_ = nullptr;
  cublasLtHandle_t cublas_ = nullptr;
  cudnnHandle_t cudnn_ = nullptr;
  Buffer workspace_;
  Buffer flush_;
  size_t flush_bytes_ = 0;
  mutable std::map<std::pair<Link, int>, cudaStream_t> link_streams_;
};

}  // namespace soapbox::calib::cuda
