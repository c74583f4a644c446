#include "calib/cuda/gpu.h"

#include "calib/cuda/check.h"
#include "calib/cuda/kernels.h"

namespace soapbox::calib::cuda {

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  switch (place_) {
    case Place::kPool:
      cudaFreeAsync(data_, stream_);
      return;
    case Place::kShared:
      cudaFree(data_);
      return;
    case Place::kHost:
      cudaFreeHost(data_);
      return;
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
  buffer.place_ = Place::kHost;
  check(cudaMallocHost(&buffer.data_, bytes));
  return buffer;
}

Buffer Buffer::shared(size_t bytes) {
  Buffer buffer;
  buffer.place_ = Place::kShared;
  check(cudaMalloc(&buffer.data_, bytes));
  return buffer;
}

Gpu::Gpu(int number) : number_(number) {
  use();
  check(cudaGetDeviceProperties(&properties_, number_));
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&second_stream_, cudaStreamNonBlocking));
  // What is freed stays with the process: kernels come and go by the thousand.
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, number_));
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
  for (const auto& [link, stream] : link_streams_) cudaStreamDestroy(stream);
  cudaStreamDestroy(second_stream_);
  cudaStreamDestroy(stream_);
}

void Gpu::use() const {
  check(cudaSetDevice(number_));
}

cudaStream_t Gpu::link_stream(Link link, int peer) const {
  const auto [at, is_new] = link_streams_.try_emplace({link, peer}, nullptr);
  if (is_new) check(cudaStreamCreateWithFlags(&at->second, cudaStreamNonBlocking));
  return at->second;
}

bool Gpu::reach(int peer) const {
  int can = 0;
  check(cudaDeviceCanAccessPeer(&can, number_, peer));
  if (can == 0) return false;
  const cudaError_t opened = cudaDeviceEnablePeerAccess(peer, 0);
  cudaGetLastError();  // that it is open already is no failure of what comes next
  if (opened != cudaErrorPeerAccessAlreadyEnabled) check(opened);
  return true;
}

void Gpu::give_back() const {
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, number_));
  check(cudaMemPoolTrimTo(pool, 0));
}

void Gpu::flush(cudaStream_t stream) const {
  launch_flush(flush_.data(), flush_bytes_, stream);
}

void Gpu::wait() const {
  check(cudaStreamSynchronize(stream_));
  check(cudaGetLastError());
}

}  // namespace soapbox::calib::cuda
