#include "sim/cost/piece.h"

#include <algorithm>

#include "sim/base/check.h"

namespace soapbox {
namespace {

// How many of a kind's dimensions are reductions: the last ones.
size_t reductions(OpKind kind) {
  switch (kind) {
    case OpKind::kConv2d:
    case OpKind::kLinear:
    case OpKind::kLstm:
    case OpKind::kAttention:
    case OpKind::kEmbeddingBag:
    case OpKind::kInteraction:
      return 1;
    default:
      return 0;
  }
}

bool has_weights(const Piece& piece) {
  switch (piece.kind) {
    case OpKind::kConv2d:
    case OpKind::kLinear:
    case OpKind::kLstm:
    case OpKind::kEmbedding:
    case OpKind::kEmbeddingBag:
      return true;
    default:
      return piece.weighted;
  }
}

Routine routine(OpKind kind, DataType type, Phase phase, const std::array<int64_t, 3>& window) {
  const bool slides = has_window(kind);
  return {static_cast<int64_t>(kind), static_cast<int64_t>(type), static_cast<int64_t>(phase),
          slides ? window[0] : 0,     slides ? window[1] : 0,     slides ? window[2] : 0};
}

}  // namespace

bool has_window(OpKind kind) {
  return kind == OpKind::kConv2d || kind == OpKind::kPool2d;
}

Routine routine_of(const Operator& op, Phase phase) {
  return routine(op.kind, op.type, phase, {op.kernel_h, op.kernel_w, stride_of(op, 2)});
}

Routine routine_of(const Piece& piece) {
  return routine(piece.kind, piece.type, piece.phase,
                 {piece.kernel_h, piece.kernel_w, piece.stride});
}

std::string to_string(Phase phase) {
  switch (phase) {
    case Phase::kForward:
      return "forward";
    case Phase::kBackwardInput:
      return "backward_input";
    case Phase::kBackwardWeight:
      return "backward_weight";
    case Phase::kBackward:
      return "backward";
  }
  return "unknown";
}

Piece piece_of(const Operator& op, const Extents& extents, Phase phase) {
  Piece piece;
  piece.kind = op.kind;
  piece.extents.assign(extents.begin(), extents.begin() + static_cast<ptrdiff_t>(op.dims.size()));
  piece.phase = phase;
  piece.inputs = static_cast<int64_t>(op.inputs.size());
  piece.weighted = op.kind == OpKind::kElementwise && !op.weights.empty();
  piece.type = op.type;
  if (!has_window(op.kind)) return piece;
  piece.kernel_h = op.kernel_h;
  piece.kernel_w = op.kernel_w;
  piece.stride = stride_of(op, 2);
  return piece;
}

Operator operator_of(const Piece& piece) {
  Operator op;
  op.name = to_string(piece.kind);
  op.kind = piece.kind;
  op.type = piece.type;
  for (const int64_t extent : piece.extents) op.dims.push_back({"", extent, DimClass::kSample});
  op.output_rank = piece.extents.size() - reductions(piece.kind);
  op.kernel_h = piece.kernel_h;
  op.kernel_w = piece.kernel_w;
  for (int64_t i = 0; i < piece.inputs; ++i) {
    std::vector<AxisMap> axes(op.output_rank, AxisMap::whole());
    if (has_window(piece.kind)) {
      axes[2] = AxisMap::window(2, piece.stride, piece.kernel_h, 0);
      axes[3] = AxisMap::window(3, piece.stride, piece.kernel_w, 0);
    }
    op.inputs.push_back({OpId(0), std::move(axes)});
  }
  if (has_weights(piece)) op.weights.push_back({WeightId(0), {}});
  return op;
}

Extents extents_of(const Piece& piece) {
  Extents extents = {1, 1, 1, 1, 1, 1};
  std::copy(piece.extents.begin(), piece.extents.end(), extents.begin());
  return extents;
}

Work work_of(const Piece& piece) {
  const PieceWork work = work_of(operator_of(piece), extents_of(piece));
  switch (piece.phase) {
    case Phase::kForward:
      return work.forward;
    case Phase::kBackwardInput:
      return work.backward_input;
    case Phase::kBackwardWeight:
      return work.backward_weight;
    case Phase::kBackward:
      break;
  }
  SOAPBOX_CHECK(false, "a piece is of one phase");
}

}  // namespace soapbox
