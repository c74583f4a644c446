// What a library of real kernels offers: a phase of a piece of an operator, made ready to run.
//
// The libraries are big and not everywhere (oneDNN, CUDA), so each is a module of its own,
// libsoapbox_NAME.so, that is opened when it is needed. The program builds, tests and simulates
// without any. To add one: a class below KernelModule in a file of its own, its function
// soapbox_kernel_module(), and a target in CMakeLists.txt.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/cost/measured_table.h"
#include "sim/cost/work.h"
#include "sim/model/op.h"

namespace soapbox::calib {

// Work beside operators: an optimiser step over a weight, the sum of buffers into the first of
// them, a copy.
struct StreamWork {
  enum class Kind : uint8_t { kUpdate, kSum, kCopy };
  Kind kind = Kind::kCopy;
  Bytes bytes;         // of one buffer
  int64_t inputs = 2;  // kSum
};

// Buffers with random numbers and everything that is set up once. Runs on one thread at a time.
class PreparedKernel {
 public:
  virtual ~PreparedKernel() = default;
  virtual void run() = 0;  // returns when the work is done
  // Takes its buffers out of all caches, where the device has a way to; else does nothing.
  virtual void cool() = 0;
};

class KernelModule {
 public:
  virtual ~KernelModule() = default;
  virtual std::string library() const = 0;  // name and version
  // Once on every thread that prepares or runs kernels: they use one core each.
  virtual void enter_thread() = 0;
  // Kernels have buffers of their own: what a kernel computes is thrown away. REQUIRES: the phase
  // has work (sim/cost/work.h). Fails where memory runs out or the library lacks a kernel.
  virtual Result<std::unique_ptr<PreparedKernel>> prepare(const Operator& op,
                                                          const Extents& extents, Phase phase) = 0;
  virtual Result<std::unique_ptr<PreparedKernel>> prepare(const StreamWork& work) = 0;
};

// Raised with every change of this file: a module of another build is refused.
inline constexpr int kKernelModuleAbi = 1;

// The one function that a module exports; null where `abi` is not its own.
extern "C" using KernelModuleEntry = KernelModule * (int abi);
inline constexpr const char* kKernelModuleEntry = "soapbox_kernel_module";

// Opens libsoapbox_NAME.so from `folder`, for the rest of the process. kUnavailable where it is not
// there, cannot be opened or is of another build; the message says what to do.
Result<KernelModule*> open_kernel_module(const std::string& name, const std::string& folder);

}  // namespace soapbox::calib
