// What measured pieces say of one that is not among them: by how much the roofline misses those
// that are most like it.
//
//   factor = sqrt((prior + sum w r) / (prior + sum w / r)),   r = measured / roofline,
//   w = 1 / (d^2 + near^2)
//
// (a mean that is symmetric in r and 1 / r as the geometric one is, without a logarithm) over the
// nearest pieces of the same routine (kind, type, phase, window). The distance of two products is
// that of their sizes, d^2 = sum over batch, m, n, k of ((a - b) / (a + b))^2, which is a
// logarithm's for near sizes and needs none; that of other pieces is of the bytes they move. Far
// from everything measured the factor is 1 and the roofline stands alone. So a library's choices
// for certain sizes (splits, tails, algorithms that no formula knows) carry over to sizes like
// them. Inverse distance weighting: Shepard 1968. Complexity: O(pieces of the routine).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "sim/cost/measured_table.h"
#include "sim/cost/piece.h"
#include "sim/cost/roofline.h"

namespace soapbox {

class NearbyPieces {
 public:
  NearbyPieces() = default;
  // Leaves out elementwise operators, whose inputs are not known, and phases that are not apart.
  NearbyPieces(std::span<const MeasuredPiece> measured, const Roofline& roofline);

  // `work`: of this phase of a piece of `op`.
  double factor(const Operator& op, Phase phase, const Work& work) const;

 private:
  using Sizes = std::array<double, 4>;
  struct Known {
    Sizes sizes;
    double ratio = 1;  // measured / roofline
  };
  static Sizes sizes_of(const Work& work);

  std::map<Routine, std::vector<Known>> known_;
};

}  // namespace soapbox
