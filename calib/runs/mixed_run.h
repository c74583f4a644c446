// Real execution on devices with a module each, cores and a GPU among them: every task of a lowered
// plan is a kernel of its device's module, or a copy.
//
// A device is a thread pinned to a core; a GPU's thread launches a task's kernels and waits for
// them. A transfer between cores is a copy by the sending core, one of its tasks
// (Link::copied_by_sender), and over other links by the thread that made it ready. To a GPU, from
// it or from one to another bytes really go from memory to memory, by a thread of the link, beside
// what both compute.
// Kernels have buffers of their own: the time of a plan is real, its numbers are not those of a
// training step. Each run begins with all of them out of the caches, as they were measured.
#pragma once

#include <functional>
#include <memory>

#include "calib/backend/kernel_module.h"
#include "calib/runs/graph_run.h"
#include "calib/runs/task_kernels.h"
#include "sim/base/result.h"
#include "sim/simulate/lower.h"

namespace soapbox::calib {

struct MixedRunSpec {
  bool realtime = false;  // ask for real-time priority (precise_wait.h)
  std::function<bool()> interrupted = [] { return false; };
};

class MixedRun {
 public:
  // Everything is borrowed. Fails as make_task_kernels() does, and where there are too few cores.
  static Result<std::unique_ptr<MixedRun>> prepare(const Model& model, const Cluster& cluster,
                                                   const Plan& plan, const Lowered& lowered,
                                                   const DeviceModules& modules,
                                                   const MixedRunSpec& spec);
  Result<GraphRun> run() const;

 private:
  MixedRun(const Lowered& lowered, const DeviceModules& modules, const MixedRunSpec& spec)
      : lowered_(lowered), modules_(modules), spec_(spec) {}

  const Lowered& lowered_;
  DeviceModules modules_;
  MixedRunSpec spec_;
  IdVector<TaskId, TaskKernels> kernels_;
};

}  // namespace soapbox::calib
