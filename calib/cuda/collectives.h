// Collectives of several GPUs of this machine, by NCCL, from one thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "calib/cuda/nccl.h"
#include "calib/cuda/trace.h"

namespace soapbox::calib::cuda {

// One rank's part: its communicator, stream and two buffers, each as large as the largest size.
struct Rank {
  Nccl::Communicator communicator = nullptr;
  cudaStream_t stream = nullptr;
  float* send = nullptr;
  float* receive = nullptr;
};

// Gives all ranks one collective of fp32 elements, sizes counted as in sim/collective/collective.h.
// A rank's share is rounded down to whole elements, and at least one. Throws Failure.
void launch_collective(const Nccl& nccl, std::span<const Rank> ranks, CollectiveOp op, Bytes bytes);

// The first GPUs as ranks. Nothing is traced while they work.
class Collectives : public CollectiveGroup {
 public:
  // Throws Failure where there are fewer GPUs, no library or no memory.
  Collectives(int64_t ranks, Bytes most, Trace& trace);
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;
  ~Collectives() override;
  Result<double> run(CollectiveOp op, Bytes bytes, int64_t times) override;
  std::span<const Rank> ranks() const { return ranks_; }

 private:
  void wait() const;
  void release();

  Nccl nccl_;
  Trace& trace_;
  Bytes most_;
  std::vector<Rank> ranks_;
};

}  // namespace soapbox::calib::cuda
