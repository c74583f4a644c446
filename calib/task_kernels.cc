#include "calib/task_kernels.h"

#include <algorithm>
#include <map>
#include <utility>

#include "sim/base/str.h"
#include "sim/simulate/weight_slices.h"

namespace soapbox::calib {
namespace {

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

Result<IdVector<TaskId, TaskKernels>> make_task_kernels(const Model& model, const Plan& plan,
                                                        const Lowered& lowered,
                                                        KernelModule& module) {
  if (plan.sync != SyncMode::kOverlapped && plan.sync != SyncMode::kBulk) {
    return Error{ErrorCode::kUsage,
                 str_cat("real kernels run plans that synchronise overlapped or bulk, not ",
                         to_string(plan.sync)),
                 {}};
  }
  IdVector<TaskId, TaskKernels> kernels;
  TaskWork work(model.graph, plan, module);
  for (const TaskId task : lowered.labels.ids()) {
    const Status made = work.make(lowered.labels[task], kernels[kernels.push_back({})]);
    if (!made) return made.error();
  }
  return kernels;
}

}  // namespace soapbox::calib
