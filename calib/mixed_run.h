// Real execution on cores: every task of a lowered plan is a kernel of a module, or a copy.
//
// A device is a thread pinned to a core; a transfer is a copy by the thread that made it ready,
// which is what a transfer between two cores of one memory amounts to. Kernels have buffers of
// their own: the time of a plan is real, its numbers are not those of a training step.
#pragma once

#include <functional>
#include <memory>

#include "calib/graph_run.h"
#include "calib/kernel_module.h"
#include "calib/task_kernels.h"
#include "sim/base/result.h"
#include "sim/simulate/lower.h"

namespace soapbox::calib {

struct CpuRunSpec {
  bool realtime = false;  // ask for real-time priority (precise_wait.h)
  std::function<bool()> interrupted = [] { return false; };
};

class CpuRun {
 public:
  // Everything is borrowed. Fails as make_task_kernels() does, and where there are too few cores.
  static Result<std::unique_ptr<CpuRun>> prepare(const Model& model, const Cluster& cluster,
                                                 const Plan& plan, const Lowered& lowered,
                                                 KernelModule& module, const CpuRunSpec& spec);
  Result<GraphRun> run() const;

 private:
  CpuRun(const Cluster& cluster, const Lowered& lowered, KernelModule& module,
         const CpuRunSpec& spec)
      : cluster_(cluster), lowered_(lowered), module_(module), spec_(spec) {}

  const Cluster& cluster_;
  const Lowered& lowered_;
  KernelModule& module_;
  CpuRunSpec spec_;
  IdVector<TaskId, TaskKernels> kernels_;
};

}  // namespace soapbox::calib
