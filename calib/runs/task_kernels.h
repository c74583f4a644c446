// The real kernels that the tasks of a lowered plan amount to.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "sim/base/result.h"
#include "sim/simulate/lower.h"

namespace soapbox::calib {

// What a task amounts to, one after the other: both gradients of a backward task, say.
struct PiecePart {
  const Operator* op = nullptr;  // of the model
  Extents extents;
  Phase phase;
};
using TaskPart = std::variant<PiecePart, StreamWork>;

// Fails for a plan that synchronises in a way whose tasks do not say what they add up (parameter
// servers).
Result<IdVector<TaskId, std::vector<TaskPart>>> make_task_parts(const Model& model,
                                                                const Plan& plan,
                                                                const Lowered& lowered);

using TaskKernels = std::vector<std::unique_ptr<PreparedKernel>>;

using DeviceModules = IdVector<DeviceId, KernelModule*>;

// Makes all kernels, each with buffers of its own, by the module of the task's device. A transfer
// between a device with a memory of its own and one without is a copy to it or from it, by its
// module; between two GPUs one from memory to memory, by the sender's; any other is the sender's.
// Fails as make_task_parts() does, and where a module lacks a kernel or memory.
Result<IdVector<TaskId, TaskKernels>> make_task_kernels(const Model& model, const Plan& plan,
                                                        const Lowered& lowered,
                                                        const DeviceModules& modules);

}  // namespace soapbox::calib
