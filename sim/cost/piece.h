// A piece of an operator as a cost model sees it, without a graph around it: what is measured.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <vector>

#include "sim/cost/work.h"
#include "sim/model/op.h"

namespace soapbox {

enum class Phase : uint8_t { kForward, kBackwardInput, kBackwardWeight, kBackward };
inline constexpr size_t kPhases = 4;
std::string to_string(Phase phase);

struct Piece {
  OpKind kind = OpKind::kLinear;
  std::vector<int64_t> extents;  // per dimension of the iteration space
  Phase phase = Phase::kForward;
  int64_t kernel_h = 1;  // convolution and pooling; the stride is that of both directions
  int64_t kernel_w = 1;
  int64_t stride = 1;
  int64_t inputs = 1;
  bool weighted = false;  // kElementwise: a normalisation
  DataType type = DataType::kFp32;
  friend auto operator<=>(const Piece&, const Piece&) = default;
};

// Whether operators of this kind slide a window over their input.
bool has_window(OpKind kind);

// Which routine of a library computes a piece, sizes apart: kind, type, phase, and the window's
// kernel and stride (0 where there is none).
using Routine = std::array<int64_t, 6>;
Routine routine_of(const Operator& op, Phase phase);
Routine routine_of(const Piece& piece);

Piece piece_of(const Operator& op, const Extents& extents, Phase phase);
// The operator that a piece is of, and what it amounts to. REQUIRES of work_of: one phase, not
// kBackward.
Operator operator_of(const Piece& piece);
Extents extents_of(const Piece& piece);
Work work_of(const Piece& piece);

}  // namespace soapbox
