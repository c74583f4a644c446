// The real kernels that the tasks of a lowered plan amount to.
#pragma once

#include <memory>
#include <vector>

#include "calib/kernel_module.h"
#include "sim/base/result.h"
#include "sim/simulate/lower.h"

namespace soapbox::calib {

// What a task runs, one after the other: both gradients of a backward task, say.
using TaskKernels = std::vector<std::unique_ptr<PreparedKernel>>;

// Makes all kernels, each with buffers of its own. Fails where the module lacks a kernel or memory,
// and for a plan that synchronises in a way whose tasks do not say what they add up (parameter
// servers).
Result<IdVector<TaskId, TaskKernels>> make_task_kernels(const Model& model, const Plan& plan,
                                                        const Lowered& lowered,
                                                        KernelModule& module);

}  // namespace soapbox::calib
