#include "calib/cuda/collectives.h"

#include <algorithm>
#include <numeric>

#include "calib/backend/precise_wait.h"
#include "calib/cuda/check.h"
#include "calib/cuda/kernels.h"

namespace soapbox::calib::cuda {
namespace {

// Every rank's calls of one collective.
class Calls {
 public:
  Calls(const Nccl& nccl, std::span<const Rank> ranks, Bytes bytes)
      : nccl_(nccl),
        ranks_(ranks),
        all_(std::max<size_t>(1, static_cast<size_t>(bytes.count()) / sizeof(float))),
        share_(std::max<size_t>(1, all_ / ranks.size())) {}

  void make(CollectiveOp op, size_t rank) const {
    const auto& [communicator, stream, send, receive] = ranks_[rank];
    switch (op) {
      case CollectiveOp::kAllReduce:
        return nccl_.check(nccl_.all_reduce(send, receive, all_, Nccl::kFloat32, Nccl::kSum,
                                            communicator, stream));
      case CollectiveOp::kReduceScatter:
        return nccl_.check(nccl_.reduce_scatter(send, receive, share_, Nccl::kFloat32, Nccl::kSum,
                                                communicator, stream));
      case CollectiveOp::kAllGather:
        return nccl_.check(
            nccl_.all_gather(send, receive, share_, Nccl::kFloat32, communicator, stream));
      case CollectiveOp::kBroadcast:
        return nccl_.check(
            nccl_.broadcast(send, receive, all_, Nccl::kFloat32, 0, communicator, stream));
      case CollectiveOp::kAllToAll:
        for (size_t other = 0; other < ranks_.size(); ++other) {
          exchange(ranks_[rank], other * share_, share_, other, other);
        }
        return;
      case CollectiveOp::kSendRecv: {
        const size_t count = ranks_.size();
        return exchange(ranks_[rank], 0, all_, (rank + 1) % count, (rank + count - 1) % count);
      }
    }
  }

 private:
  void exchange(const Rank& rank, size_t offset, size_t count, size_t to, size_t from) const {
    nccl_.check(nccl_.send(rank.send + offset, count, Nccl::kFloat32, static_cast<int>(to),
                           rank.communicator, rank.stream));
    nccl_.check(nccl_.receive(rank.receive + offset, count, Nccl::kFloat32, static_cast<int>(from),
                              rank.communicator, rank.stream));
  }

  const Nccl& nccl_;
  std::span<const Rank> ranks_;
  size_t all_;    // elements
  size_t share_;  // of one rank
};

}  // namespace

void launch_collective(const Nccl& nccl, std::span<const Rank> ranks, CollectiveOp op,
                       Bytes bytes) {
  const Calls calls(nccl, ranks, bytes);
  nccl.check(nccl.group_start());
  try {
    for (size_t rank = 0; rank < ranks.size(); ++rank) calls.make(op, rank);
  } catch (...) {
    nccl.group_end();
    throw;
  }
  nccl.check(nccl.group_end());
}

Collectives::Collectives(int64_t ranks, Bytes most, Trace& trace)
    : nccl_(Nccl::open()), trace_(trace), most_(most) {
  int there = 0;
  check(cudaGetDeviceCount(&there));
  if (ranks > there) throw Failure(str_cat(ranks, " ranks, and this machine has ", there, " GPUs"));
  const Paused paused(trace_);
  std::vector<int> devices(static_cast<size_t>(ranks));
  std::iota(devices.begin(), devices.end(), 0);
  std::vector<Nccl::Communicator> communicators(devices.size());
  nccl_.check(nccl_.init_all(communicators.data(), static_cast<int>(ranks), devices.data()));
  for (const Nccl::Communicator communicator : communicators) ranks_.push_back({communicator});
  try {
    const auto bytes = static_cast<size_t>(most.count()) + sizeof(float) * ranks_.size();
    for (size_t i = 0; i < ranks_.size(); ++i) {
      Rank& rank = ranks_[i];
      check(cudaSetDevice(devices[i]));
      check(cudaStreamCreateWithFlags(&rank.stream, cudaStreamNonBlocking));
      for (float** const buffer : {&rank.send, &rank.receive}) {
        void* data = nullptr;
        check(cudaMalloc(&data, bytes));
        *buffer = static_cast<float*>(data);
      }
      launch_fill(rank.send, most.count() / static_cast<int64_t>(sizeof(float)), DataType::kFp32,
                  static_cast<uint32_t>(i + 1), rank.stream);
    }
    wait();
  } catch (...) {
    release();
    throw;
  }
  check(cudaSetDevice(0));  // as it was
}

Collectives::~Collectives() {
  release();
}

void Collectives::release() {
  for (size_t i = 0; i < ranks_.size(); ++i) {
    cudaSetDevice(static_cast<int>(i));
    nccl_.destroy(ranks_[i].communicator);
    cudaFree(ranks_[i].receive);
    cudaFree(ranks_[i].send);
    if (ranks_[i].stream != nullptr) cudaStreamDestroy(ranks_[i].stream);
  }
  ranks_.clear();
  cudaSetDevice(0);
  cudaGetLastError();
}

void Collectives::wait() const {
  for (const Rank& rank : ranks_) check(cudaStreamSynchronize(rank.stream));
}

Result<double> Collectives::run(CollectiveOp op, Bytes bytes, int64_t times) try {
  if (bytes > most_) throw Failure(str_cat("more than ", most_.count(), " bytes"));
  const Paused paused(trace_);
  const int64_t before_ns = steady_now_ns();
  for (int64_t i = 0; i < times; ++i) launch_collective(nccl_, ranks_, op, bytes);
  wait();
  return static_cast<double>(steady_now_ns() - before_ns) * 1e-9;
} catch (const std::exception& error) {
  cudaGetLastError();
  return Error{ErrorCode::kEnvironment, error.what(), {}};
}

}  // namespace soapbox::calib::cuda
