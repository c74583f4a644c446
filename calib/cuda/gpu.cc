#include "calib/cuda/gpu.h"

#include "calib/cuda/check.h"
#include "calib/cuda/kernels.h"

namespace soapbox::calib::cuda {

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (pinned_) {
    cudaFreeHost(data_);
  } else {
    cudaFreeAsync(data_, stream_);
  }
}

Buffer Buffer::on_device(size_t bytes, cudaStream_t stream) {
  Buffer buffer;
  buffer.stream_ = stream;
  check(cudaMallocAsync(&buffer.data_, bytes, stream));
  return buffer;
}

Buffer Buffer::pinned(size_t bytes) {
  Buffer buffer;
  buffer.pinned_ = true;
  check(cudaMallocHost(&buffer.data_, bytes));
  return buffer;
}

Gpu::Gpu() {
  check(cudaSetDevice(0));
  check(cudaGetDeviceProperties(&properties_, 0));
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&second_stream_, cudaStreamNonBlocking));
  // What is freed stays with the process: kernels come and go by the thousand.
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, 0));
  uint64_t keep = UINT64_MAX;
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
  check(cublasLtCreate(&cublas_));
  check(cudnnCreate(&cudnn_));
  check(cudnnSetStream(cudnn_, stream_));
  workspace_ = Buffer::on_device(kWorkspaceBytes, stream_);
  flush_bytes_ = 2 * static_cast<size_t>(properties_.l2CacheSize);
  flush_ = Buffer::on_device(flush_bytes_, stream_);
  wait();
}

Gpu::~Gpu() {
  workspace_ = Buffer();
  flush_ = Buffer();
  cudnnDestroy(cudnn_);
  cublasLtDestroy(cublas_);
  cudaStreamDestroy(second_stream_);
  cudaStreamDestroy(stream_);
}

void Gpu::flush(cudaStream_t stream) const {
  launch_flush(flush_.data(), flush_bytes_, stream);
}

void Gpu::wait() const {
  check(cudaStreamSynchronize(stream_));
  check(cudaGetLastError());
}

}  // namespace soapbox::calib::cuda
