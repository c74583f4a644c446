// Real execution on one GPU: the kernels of all tasks of a lowered plan, in the order in which the
// simulator starts them, on one stream, launched one by one or replayed as one graph. Kernels have
// buffers of their own, so that each reads what is in no cache.
#pragma once

#include <memory>

#include "calib/runs/graph_run.h"
#include "calib/runs/task_kernels.h"
#include "sim/base/result.h"
#include "sim/engine/engine.h"

namespace soapbox::calib {

class GpuRun {
 public:
  // Everything is borrowed. Fails as make_task_kernels() does, where the module has no device of
  // its own, and where the cluster is not one device.
  static Result<std::unique_ptr<GpuRun>> prepare(const Model& model, const Cluster& cluster,
                                                 const Plan& plan, const Lowered& lowered,
                                                 const Timeline& predicted, KernelModule& module,
                                                 LaunchMode mode);
  Result<GraphRun> run() const;

 private:
  explicit GpuRun(const Lowered& lowered) : lowered_(lowered) {}

  const Lowered& lowered_;
  IdVector<TaskId, TaskKernels> kernels_;
  std::vector<TaskId> order_;
  std::unique_ptr<LoadedTasks> loaded_;  // refers to the kernels
};

}  // namespace soapbox::calib
