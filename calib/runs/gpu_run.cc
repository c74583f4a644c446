#include "calib/runs/gpu_run.h"

#include <algorithm>
#include <utility>

#include "calib/runs/two_clocks.h"
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
  std::unique_ptr<GpuRun> run(new GpuRun(lowered));
  Result<IdVector<TaskId, TaskKernels>> kernels =
      make_task_kernels(model, plan, lowered, DeviceModules(1, &module));
  if (!kernels) return kernels.error();
  run->kernels_ = *std::move(kernels);
  run->order_ = launch_order(predicted);
  std::vector<DeviceTask> tasks;
  for (const TaskId task : run->order_) {
    DeviceTask one;
    for (const auto& kernel : run->kernels_[task]) one.push_back(kernel.get());
    tasks.push_back(std::move(one));
  }
  Result<std::unique_ptr<LoadedTasks>> loaded = module.device()->load(std::move(tasks), mode);
  if (!loaded) return loaded.error();
  run->loaded_ = *std::move(loaded);
  return run;
}

Result<GraphRun> GpuRun::run() const {
  const Result<DeviceRun> done = loaded_->run();
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
