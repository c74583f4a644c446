#include "calib/cpu_run.h"

#include <utility>
#include <vector>

#include "calib/cores.h"
#include "calib/precise_wait.h"
#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

constexpr int64_t kSpin = 200'000;  // ns

}  // namespace

Result<std::unique_ptr<CpuRun>> CpuRun::prepare(const Model& model, const Cluster& cluster,
                                                const Plan& plan, const Lowered& lowered,
                                                KernelModule& module, const CpuRunSpec& spec) {
  const size_t cores = usable_cores().size();
  if (cluster.device_count() > cores) {
    return Error{ErrorCode::kUsage,
                 str_cat("the cluster has ", cluster.device_count(), " devices, and this machine ",
                         cores, " cores to be them"),
                 {}};
  }
  module.enter_thread();
  std::unique_ptr<CpuRun> run(new CpuRun(cluster, lowered, module, spec));
  Result<IdVector<TaskId, TaskKernels>> kernels = make_task_kernels(model, plan, lowered, module);
  if (!kernels) return kernels.error();
  run->kernels_ = *std::move(kernels);
  return run;
}

Result<GraphRun> CpuRun::run() const {
  const std::vector<int> cores = usable_cores();
  GraphRunSpec spec;
  spec.interrupted = spec_.interrupted;
  spec.spin_ns = kSpin;
  spec.has_thread = [this](ResourceId resource) {
    return resource.index() < cluster_.device_count();
  };
  spec.enter = [&](ResourceId resource) {
    module_.enter_thread();
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
