#include "calib/gpu_run.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "sim/base/str.h"

namespace soapbox::calib {

Result<std::unique_ptr<GpuRun>> GpuRun::prepare(const Model& model, const Cluster& cluster,
                                                const Plan& plan, const Lowered& lowered,
                                                const Timeline& predicted, KernelModule& module,
                                                LaunchMode mode) {
  if (module.device() == nullptr || cluster.device_count() != 1) {
    return Error{ErrorCode::kUsage,
                 str_cat("the cluster has ", cluster.device_count(),
                         " devices, and this backend runs plans on one GPU"),
                 {}};
  }
  module.enter_thread();
  std::unique_ptr<GpuRun> run(new GpuRun(lowered, *module.device(), mode));
  Result<IdVector<TaskId, TaskKernels>> kernels = make_task_kernels(model, plan, lowered, module);
  if (!kernels) return kernels.error();
  run->kernels_ = *std::move(kernels);
  for (const TaskId task : lowered.labels.ids()) run->order_.push_back(task);
  std::sort(run->order_.begin(), run->order_.end(), [&](TaskId a, TaskId b) {
    return std::tuple(predicted.start[a], predicted.end[a], a) <
           std::tuple(predicted.start[b], predicted.end[b], b);
  });
  return run;
}

Result<GraphRun> GpuRun::run() const {
  std::vector<DeviceTask> tasks;
  for (const TaskId task : order_) {
    DeviceTask one;
    for (const auto& kernel : kernels_[task]) one.push_back(kernel.get());
    tasks.push_back(std::move(one));
  }
  const Result<DeviceRun> done = device_.run(tasks, mode_);
  if (!done) return done.error();
  GraphRun run;
  const size_t count = lowered_.graph.task_count();
  for (auto* times : {&run.ready_ns, &run.start_ns, &run.end_ns}) times->resize(count);
  run.makespan_ns = done->makespan_ns;
  for (size_t i = 0; i < order_.size(); ++i) {
    run.start_ns[order_[i]] = done->start_ns[i];
    run.end_ns[order_[i]] = done->end_ns[i];
    for (const TaskId next : lowered_.graph.successors(order_[i])) {
      run.ready_ns[next] = std::max(run.ready_ns[next], done->end_ns[i]);
    }
  }
  return run;
}

}  // namespace soapbox::calib
