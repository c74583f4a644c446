// What a library of real kernels offers: a phase of a piece of an operator, made ready to run.
//
// The libraries are big and not everywhere (oneDNN, CUDA), so each is a module of its own,
// libsoapbox_NAME.so, that is opened when it is needed. The program builds, tests and simulates
// without any. To add one: a class below KernelModule in a file of its own, its function
// soapbox_kernel_module(), and a target in CMakeLists.txt.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/str.h"
#include "sim/base/units.h"
#include "sim/collective/algorithms.h"
#include "sim/cost/measured_table.h"
#include "sim/cost/work.h"
#include "sim/model/op.h"

namespace soapbox::calib {

// Work beside operators: an optimiser step over a weight, the sum of buffers into the first of
// them, a copy. The next are there for a device with a memory of its own: a kernel that does
// nothing, copies between its memory and the host's, and a product and a copy to the device at the
// same time, of which only the first-named counts; copies to the memory of another GPU, or as many
// bytes each way. kLoopback is the host's: bytes sent and received over a loopback TCP connection
// (calib/sampling/loopback.h), which no module does.
struct StreamWork {
  enum class Kind : uint8_t {
    kUpdate,
    kSum,
    kCopy,
    kLaunch,
    kToDevice,
    kFromDevice,
    kToDevicePageable,
    kFromDevicePageable,
    kBothWays,
    kProduct,
    kProductBesideCopy,
    kCopyBesideProduct,
    kLoopback,
    kToPeer,
    kBothWaysPeer,
  };
  Kind kind = Kind::kCopy;
  Bytes bytes;         // of one buffer
  int64_t inputs = 2;  // kSum
  int64_t peer = 0;    // the other GPU
};

// Buffers with random numbers and everything that is set up once. Runs on one thread at a time.
class PreparedKernel {
 public:
  virtual ~PreparedKernel() = default;
  virtual void run() = 0;  // returns when the work is done
  // Takes its buffers out of all caches, where the device has a way to; else does nothing.
  virtual void cool() = 0;
};

// The device that a module's kernels run on, where that is not a core of this processor.
struct DeviceDescription {
  std::string name = {};  // as its driver gives it: "NVIDIA H200"
  int64_t sm_count = 0;
  double clock_mhz = 0;  // the most it may run at
  int64_t memory_bytes = 0;
  int64_t second_cache_bytes = 0;
  int64_t number = 0;  // among this machine's GPUs
  // Of all these, in order: "0000:1b:00.0", lower case.
  std::vector<std::string> pci_addresses = {};
};

// Runs of one kernel, each once out of cold and once out of hot caches.
struct TimedRuns {
  std::vector<double> cold_s;
  std::vector<double> hot_s;
};

// What passes between two kernels: replayed as a graph, launched by a host that is ahead of the
// device, and launched by one that waits for each.
struct DispatchTimes {
  double replayed_s = 0;
  double launched_s = 0;
  double waited_s = 0;
};

// Tasks that ran one after the other on a device, in nanoseconds since the first began.
struct DeviceRun {
  std::vector<int64_t> start_ns;
  std::vector<int64_t> end_ns;
  int64_t makespan_ns = 0;
};
// The kernels of one task, one after the other.
using DeviceTask = std::vector<PreparedKernel*>;

// Tasks made ready for a device, in order.
class LoadedTasks {
 public:
  virtual ~LoadedTasks() = default;
  virtual Result<DeviceRun> run() = 0;
};

// How a device is given its kernels: as one graph that it replays, each launched by the host, or
// each launched and waited for, as where it is one of several devices (calib/runs/mixed_run.h).
enum class LaunchMode : uint8_t { kGraph, kStream, kWait };

// A device that keeps time by itself, and takes work without waiting for it. All functions fail
// with the driver's or the tracing library's own words.
class KernelDevice {
 public:
  virtual ~KernelDevice() = default;
  virtual DeviceDescription description() const = 0;
  // Adds `pairs` runs.
  virtual Status time(PreparedKernel& kernel, size_t pairs, TimedRuns& out) = 0;
  // By a second timer, which traces nothing: one run out of hot caches, as the difference between a
  // long and a short row of them that the device replays by itself, with what it spends between
  // two kernels.
  virtual Result<double> replay_seconds(PreparedKernel& kernel) = 0;
  // What the host spends on launching each, in the median of some turns: between two launches of
  // one the others are launched, as in a step, where none finds its code and data in the caches.
  virtual Result<std::vector<double>> launch_seconds(std::span<PreparedKernel* const> kernels) = 0;
  virtual Result<DispatchTimes> dispatch_times() = 0;
  virtual double clock_mhz() const = 0;  // now; 0 where the driver does not say
  // The kernels are borrowed. REQUIRES: not kWait.
  virtual Result<std::unique_ptr<LoadedTasks>> load(std::vector<DeviceTask> tasks,
                                                    LaunchMode mode) = 0;
};

// GPUs of this machine that exchange data by a library of collectives. Runs on one thread.
class CollectiveGroup {
 public:
  virtual ~CollectiveGroup() = default;
  // The seconds of so many of one collective in a row, from the first launch to the end of the last
  // one by the host's clock, as nccl-tests does. Bytes as in sim/collective/collective.h. Fails
  // with the library's words.
  virtual Result<double> run(CollectiveOp op, Bytes bytes, int64_t times) = 0;
};

class KernelModule {
 public:
  virtual ~KernelModule() = default;
  virtual std::string library() const = 0;  // name and version
  // Null: kernels run on the thread that calls them, and its CPU time is theirs.
  virtual KernelDevice* device() { return nullptr; }
  // The same kernels on another GPU of this machine, for as long as this module. Fails with what is
  // not there.
  virtual Result<KernelModule*> of_gpu(int64_t number) {
    return Error{ErrorCode::kUnavailable, str_cat(library(), " has no GPU ", number), {}};
  }
  // Once on every thread that prepares or runs kernels: they use one core each.
  virtual void enter_thread() = 0;
  // Kernels have buffers of their own: what a kernel computes is thrown away. REQUIRES: the phase
  // has work (sim/cost/work.h). Fails where memory runs out or the library lacks a kernel.
  virtual Result<std::unique_ptr<PreparedKernel>> prepare(const Operator& op,
                                                          const Extents& extents, Phase phase) = 0;
  virtual Result<std::unique_ptr<PreparedKernel>> prepare(const StreamWork& work) = 0;
  // Collectives of up to `most` bytes among the first GPUs. Fails with what is not there.
  virtual Result<std::unique_ptr<CollectiveGroup>> collectives(int64_t, Bytes) {
    return Error{ErrorCode::kUnavailable, str_cat(library(), " has no collectives"), {}};
  }
};

// Raised with every change of this file: a module of another build is refused.
inline constexpr int kKernelModuleAbi = 6;

// The one function that a module exports; null where `abi` is not its own, or where its device is
// not there, which it writes into `why`.
extern "C" using KernelModuleEntry = KernelModule * (int abi, std::string* why);
inline constexpr const char* kKernelModuleEntry = "soapbox_kernel_module";

// Opens libsoapbox_NAME.so from `folder`, for the rest of the process. kUnavailable where it is not
// there, cannot be opened or is of another build; the message says what to do.
Result<KernelModule*> open_kernel_module(const std::string& name, const std::string& folder);

}  // namespace soapbox::calib
