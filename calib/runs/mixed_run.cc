#include "calib/runs/mixed_run.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "calib/backend/cores.h"
#include "calib/backend/precise_wait.h"
#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

constexpr int64_t kSpin = 200'000;  // ns

}  // namespace

Result<std::unique_ptr<MixedRun>> MixedRun::prepare(const Model& model, const Cluster& cluster,
                                                    const Plan& plan, const Lowered& lowered,
                                                    const DeviceModules& modules,
                                                    const MixedRunSpec& spec) {
  const size_t cores = usable_cores().size();
  if (cluster.device_count() > cores) {
    return Error{ErrorCode::kUsage,
                 str_cat("the cluster has ", cluster.device_count(), " devices, and this machine ",
                         cores, " cores to be them"),
                 {}};
  }
  for (KernelModule* const module : modules) module->enter_thread();
  std::unique_ptr<MixedRun> run(new MixedRun(lowered, modules, spec));
  Result<IdVector<TaskId, TaskKernels>> kernels = make_task_kernels(model, plan, lowered, modules);
  if (!kernels) return kernels.error();
  run->kernels_ = *std::move(kernels);
  return run;
}

Result<GraphRun> MixedRun::run() const {
  for (const TaskKernels& task : kernels_) {
    for (const auto& kernel : task) kernel->cool();
  }
  const std::vector<int> cores = usable_cores();
  const auto is_device = [&](ResourceId resource) { return resource.index() < modules_.size(); };
  const bool has_gpu = std::any_of(modules_.begin(), modules_.end(), [](KernelModule* module) {
    return module->device() != nullptr;
  });
  GraphRunSpec spec;
  spec.interrupted = spec_.interrupted;
  spec.spin_ns = kSpin;
  spec.has_thread = [&](ResourceId resource) { return has_gpu || is_device(resource); };
  spec.enter = [&](ResourceId resource) {
    if (!is_device(resource)) {
      for (KernelModule* const module : modules_) module->enter_thread();
      return;
    }
    modules_[DeviceId::from_index(resource.index())]->enter_thread();
    pin_to_core(cores[resource.index()]);
    if (spec_.realtime) ask_for_realtime();
  };
  spec.perform = [&](TaskId task, int64_t, const std::atomic<bool>&) -> Status {
    for (const auto& kernel : kernels_[task]) kernel->run();
    return ok();
  };
  return run_graph(lowered_.graph, spec);
}

}  // namespace soapbox::calib
