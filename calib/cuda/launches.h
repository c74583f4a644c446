// A prepared kernel of the GPU: buffers, and what is launched one after the other.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "calib/cuda/check.h"
#include "calib/cuda/gpu.h"
#include "calib/cuda/kernels.h"

namespace soapbox::calib::cuda {

class Launches : public PreparedKernel {
 public:
  // Which activities of the device are the kernel's time; the others are its company.
  enum class Counts : uint8_t { kAll, kKernels, kCopies };
  using Step = std::function<void(cudaStream_t)>;

  explicit Launches(const Gpu& gpu) : gpu_(gpu), own_stream_(gpu.stream()) {}

  const Gpu& gpu() const { return gpu_; }
  void add(Step step) { steps_.push_back(std::move(step)); }
  // Random elements, and up to a whole access more.
  void* buffer(int64_t count, DataType type) {
    constexpr size_t kAccess = 16;
    const size_t bytes = static_cast<size_t>(count) * static_cast<size_t>(size_bytes(type));
    void* const data = space(bytes + kAccess);
    launch_fill(data, count, type, ++seed_, gpu_.stream());
    return data;
  }
  float* floats(int64_t count) { return static_cast<float*>(buffer(count, DataType::kFp32)); }
  int32_t* indices(int64_t count, int32_t limit) {
    auto* const data = static_cast<int32_t*>(space(static_cast<size_t>(count) * sizeof(int32_t)));
    launch_fill_indices(data, count, limit, ++seed_, gpu_.stream());
    return data;
  }
  void* space(size_t bytes) {
    buffers_.push_back(Buffer::on_device(bytes, gpu_.stream()));
    return buffers_.back().data();
  }
  void* pinned(size_t bytes) {
    buffers_.push_back(Buffer::pinned(bytes));
    return buffers_.back().data();
  }
  // Memory of another GPU, which this one may then access where the machine lets it.
  void* on_peer(size_t bytes, int peer) {
    check(cudaSetDevice(peer));
    Buffer buffer = Buffer::shared(bytes);
    gpu_.use();
    buffers_.push_back(std::move(buffer));
    return buffers_.back().data();
  }
  // Keeps whatever the steps refer to.
  template <class T>
  T* keep(std::shared_ptr<T> owned) {
    owned_.push_back(owned);
    return owned.get();
  }
  // run() runs beside what other kernels do on the first stream.
  void run_on(cudaStream_t stream) { own_stream_ = stream; }
  void set_counts(Counts counts) { counts_ = counts; }
  Counts counts() const { return counts_; }
  // In the order in which they were made.
  const std::vector<Buffer>& buffers() const { return buffers_; }

  void launch(cudaStream_t stream) const {
    for (const Step& step : steps_) step(stream);
    check(cudaGetLastError());
  }
  void run() override {
    gpu_.use();
    launch(own_stream_);
    check(cudaStreamSynchronize(own_stream_));
  }
  void cool() override {
    gpu_.use();
    gpu_.flush(gpu_.stream());
    gpu_.wait();
  }

 private:
  const Gpu& gpu_;
  cudaStream_t own_stream_;
  Counts counts_ = Counts::kAll;
  uint32_t seed_ = 0;
  std::vector<Step> steps_;
  std::vector<Buffer> buffers_;
  std::vector<std::shared_ptr<void>> owned_;
};

}  // namespace soapbox::calib::cuda
