#include "calib/runs/task_kernels.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <utility>

#include "sim/base/str.h"
#include "sim/simulate/weight_slices.h"

namespace soapbox::calib {
namespace {

// Says of each task what it amounts to.
class TaskWork {
 public:
  TaskWork(const OpGraph& graph, const Plan& plan) : graph_(graph), plan_(plan) {}

  std::vector<TaskPart> parts(const TaskLabel& label) {
    switch (label.kind) {
      case TaskKind::kForward:
        return pieces(label, {Phase::kForward});
      case TaskKind::kBackward:
        return pieces(label, {Phase::kBackwardInput, Phase::kBackwardWeight});
      case TaskKind::kGradientSum:
        // Partial gradients of a whole piece: what overlaps more is rare and costs more.
        return {StreamWork{StreamWork::Kind::kSum, piece_bytes(label.op), 2}};
      case TaskKind::kUpdate:
        return {StreamWork{StreamWork::Kind::kUpdate, next_slice(label), 2}};
      case TaskKind::kForwardTransfer:
      case TaskKind::kBackwardTransfer:
      case TaskKind::kSyncTransfer:
        return {StreamWork{StreamWork::Kind::kCopy, label.bytes, 1}};
      case TaskKind::kBarrier:
        return {};
    }
    SOAPBOX_CHECK(false, "a kind of task");
  }

 private:
  // Of the phases those that have work.
  std::vector<TaskPart> pieces(const TaskLabel& label, std::initializer_list<Phase> phases) {
    const Operator& op = graph_.op(label.op);
    const Extents extents = extents_of(label.op);
    const PieceWork work = work_of(op, extents);
    std::vector<TaskPart> out;
    for (const Phase phase : phases) {
      const Work& part = phase == Phase::kForward         ? work.forward
                         : phase == Phase::kBackwardInput ? work.backward_input
                                                          : work.backward_weight;
      if (part.kernels > 0) out.push_back(PiecePart{&op, extents, phase});
    }
    return out;
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
  std::map<WeightId, std::vector<WeightSlice>> slices_;
  std::map<std::pair<WeightId, DeviceId>, size_t> updates_;
};

Result<std::unique_ptr<PreparedKernel>> prepare(const TaskPart& part, const TaskLabel& label,
                                                const DeviceModules& modules) {
  KernelModule& own = *modules[label.from];
  if (const auto* piece = std::get_if<PiecePart>(&part)) {
    return own.prepare(*piece->op, piece->extents, piece->phase);
  }
  StreamWork work = std::get<StreamWork>(part);
  if (work.kind != StreamWork::Kind::kCopy) return own.prepare(work);
  KernelModule& other = *modules[label.to];
  const bool leaves = own.device() != nullptr;
  const bool arrives = other.device() != nullptr;
  if (leaves && arrives && &own != &other) {
    work.kind = StreamWork::Kind::kToPeer;
    work.peer = other.device()->description().number;
    return own.prepare(work);
  }
  if (leaves == arrives) return own.prepare(work);
  work.kind = leaves ? StreamWork::Kind::kFromDevice : StreamWork::Kind::kToDevice;
  return (leaves ? own : other).prepare(work);
}

}  // namespace

Result<IdVector<TaskId, std::vector<TaskPart>>> make_task_parts(const Model& model,
                                                                const Plan& plan,
                                                                const Lowered& lowered) {
  if (plan.sync != SyncMode::kOverlapped && plan.sync != SyncMode::kBulk) {
    return Error{ErrorCode::kUsage,
                 str_cat("real kernels run plans that synchronise overlapped or bulk, not ",
                         to_string(plan.sync)),
                 {}};
  }
  IdVector<TaskId, std::vector<TaskPart>> parts;
  TaskWork work(model.graph, plan);
  for (const TaskId task : lowered.labels.ids()) parts.push_back(work.parts(lowered.labels[task]));
  return parts;
}

Result<IdVector<TaskId, TaskKernels>> make_task_kernels(const Model& model, const Plan& plan,
                                                        const Lowered& lowered,
                                                        const DeviceModules& modules) {
  const auto parts = make_task_parts(model, plan, lowered);
  if (!parts) return parts.error();
  IdVector<TaskId, TaskKernels> kernels;
  for (const TaskId task : parts->ids()) {
    TaskKernels& own = kernels[kernels.push_back({})];
    for (const TaskPart& part : (*parts)[task]) {
      Result<std::unique_ptr<PreparedKernel>> kernel = prepare(part, lowered.labels[task], modules);
      if (!kernel) return kernel.error();
      own.push_back(*std::move(kernel));
    }
  }
  return kernels;
}

}  // namespace soapbox::calib
