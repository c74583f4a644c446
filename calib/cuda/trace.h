// What the device did and when, from CUPTI's activity records.
//
// CONCURRENT_KERNEL records kernels without serialising them (KERNEL would), MEMCPY, MEMCPY2 (from
// GPU to GPU) and MEMSET the rest; times are the device's own. No call of the runtime is traced, so
// that launches stay as cheap as they are. No timestamp callback is registered: with CUDA 13.0 it
// can yield kernels without times.
#pragma once

#include <cupti.h>

#include <cstdint>
#include <mutex>
#include <vector>

namespace soapbox::calib::cuda {

struct Activity {
  enum class Kind : uint8_t { kKernel, kCopy, kSet, kMark, kFlush };
  Kind kind = Kind::kKernel;
  int64_t start_ns = 0;
  int64_t end_ns = 0;
};

// The record that this build reads, and the sizes it was built against (a test compares them).
using KernelRecord = CUpti_ActivityKernel10;
using CopyRecord = CUpti_ActivityMemcpy6;
using PeerCopyRecord = CUpti_ActivityMemcpyPtoP4;
using SetRecord = CUpti_ActivityMemset4;

// The records of one buffer, appended; returns how many had no times.
size_t read_records(uint8_t* buffer, size_t bytes, std::vector<Activity>& out);

// CUPTI hands its buffers to functions without a context of ours, so there is one Trace at a time
// in a process; making a second one while the first lives fails.
class Trace {
 public:
  // Before the first kernel runs. Throws Failure.
  Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  ~Trace();

  // REQUIRES: everything that was launched has ended. All activities since the last call, by their
  // start. Throws Failure where records were lost.
  std::vector<Activity> take();
  // While paused nothing is recorded, and launches cost nothing more.
  void pause();
  void resume();

 private:
  static void CUPTIAPI request(uint8_t** buffer, size_t* bytes, size_t* most_records);
  static void CUPTIAPI complete(CUcontext context, uint32_t stream, uint8_t* buffer, size_t bytes,
                                size_t valid_bytes);

  std::mutex mutex_;
  std::vector<Activity> activities_;
  size_t without_times_ = 0;
};

// Paused for its lifetime.
class Paused {
 public:
  explicit Paused(Trace& trace) : trace_(trace) { trace_.pause(); }
  Paused(const Paused&) = delete;
  Paused& operator=(const Paused&) = delete;
  ~Paused();

 private:
  Trace& trace_;
};

}  // namespace soapbox::calib::cuda
