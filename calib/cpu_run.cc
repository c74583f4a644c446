#include "calib/cpu_run.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "calib/cores.h"
#include "calib/precise_wait.h"
#include "sim/base/str.h"
#include "sim/simulate/weight_slices.h"

namespace soapbox::calib {
namespace {

constexpr int64_t kSpin = 200'000;  // ns

using MadeKernel = Result<std::unique_ptr<PreparedKernel>>;

// Says of each task what it amounts to.
class TaskWork {
 public:
  TaskWork(const OpGraph& graph, const Plan& plan, KernelModule& module)
      : graph_(graph), plan_(plan), module_(module) {}

  Status make(const TaskLabel& label, std::vector<std::unique_ptr<PreparedKernel>>& out) {
    switch (label.kind) {
      case TaskKind::kForward:
        return add(label, Phase::kForward, out);
      case TaskKind::kBackward: {
        Status done = add(label, Phase::kBackwardInput, out);
        return done ? add(label, Phase::kBackwardWeight, out) : done;
      }
      case TaskKind::kGradientSum:
        // Partial gradients of a whole piece: what overlaps more is rare and costs more.
        return add(StreamWork{StreamWork::Kind::kSum, piece_bytes(label.op), 2}, out);
      case TaskKind::kUpdate:
        return add(StreamWork{StreamWork::Kind::kUpdate, next_slice(label), 2}, out);
      case TaskKind::kForwardTransfer:
      case TaskKind::kBackwardTransfer:
      case TaskKind::kSyncTransfer:
        return add(StreamWork{StreamWork::Kind::kCopy, label.bytes, 1}, out);
      case TaskKind::kBarrier:
        return ok();
    }
    SOAPBOX_CHECK(false, "a kind of task");
  }

 private:
  Status keep(MadeKernel kernel, std::vector<std::unique_ptr<PreparedKernel>>& out) {
    if (!kernel) return kernel.error();
    out.push_back(*std::move(kernel));
    return ok();
  }
  Status add(const StreamWork& work, std::vector<std::unique_ptr<PreparedKernel>>& out) {
    return keep(module_.prepare(work), out);
  }
  Status add(const TaskLabel& label, Phase phase,
             std::vector<std::unique_ptr<PreparedKernel>>& out) {
    const Operator& op = graph_.op(label.op);
    const Extents extents = extents_of(label.op);
    const PieceWork work = work_of(op, extents);
    const Work& part = phase == Phase::kForward         ? work.forward
                       : phase == Phase::kBackwardInput ? work.backward_input
                                                        : work.backward_weight;
    if (part.kernels == 0) return ok();
    return keep(module_.prepare(op, extents, phase), out);
  }
  Extents extents_of(OpId id) const {
    Extents extents = {1, 1, 1, 1, 1, 1};
    const Operator& op = graph_.op(id);
    for (size_t dim = 0; dim < op.dims.size(); ++dim) {
      extents[dim] = op.dims[dim].size / plan_.ops[id].degrees[dim];
    }
    return extents;
  }
  Bytes piece_bytes(OpId id) const {
    const Extents extents = extents_of(id);
    Bytes bytes(size_bytes(graph_.op(id).type));
    for (size_t dim = 0; dim < graph_.op(id).output_rank; ++dim) bytes = bytes * extents[dim];
    return bytes;
  }
  // Updates follow their weight's slices in order, on every device that holds one (sync.h).
  Bytes next_slice(const TaskLabel& label) {
    const auto [at, is_new] = slices_.try_emplace(label.weight);
    if (is_new) at->second = weight_slices(graph_, label.weight, plan_);
    size_t skip = updates_[{label.weight, label.from}]++;
    for (const WeightSlice& slice : at->second) {
      const bool holds =
          std::any_of(slice.replicas.begin(), slice.replicas.end(),
                      [&](const WeightReplica& replica) { return replica.device == label.from; });
      if (holds && skip-- == 0) return slice.bytes;
    }
    SOAPBOX_CHECK(false, "an update is of a slice");
  }

  const OpGraph& graph_;
  const Plan& plan_;
  KernelModule& module_;
  std::map<WeightId, std::vector<WeightSlice>> slices_;
  std::map<std::pair<WeightId, DeviceId>, size_t> updates_;
};

}  // namespace

Result<std::unique_ptr<CpuRun>> CpuRun::prepare(const Model& model, const Cluster& cluster,
                                                const Plan& plan, const Lowered& lowered,
                                                KernelModule& module, const CpuRunSpec& spec) {
  if (plan.sync != SyncMode::kOverlapped && plan.sync != SyncMode::kBulk) {
    return Error{ErrorCode::kUsage,
                 str_cat("real kernels run plans that synchronise overlapped or bulk, not ",
                         to_string(plan.sync)),
                 {}};
  }
  const size_t cores = usable_cores().size();
  if (cluster.device_count() > cores) {
    return Error{ErrorCode::kUsage,
                 str_cat("the cluster has ", cluster.device_count(), " devices, and this machine ",
                         cores, " cores to be them"),
                 {}};
  }
  module.enter_thread();
  std::unique_ptr<CpuRun> run(new CpuRun(cluster, lowered, module, spec));
  TaskWork work(model.graph, plan, module);
  for (const TaskId task : lowered.labels.ids()) {
    const Status made = work.make(lowered.labels[task], run->kernels_[run->kernels_.push_back({})]);
    if (!made) return made.error();
  }
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
