#include "sim/cost/nearby_pieces.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace soapbox {
namespace {

// Chosen by the held-out points of calibrations; the result depends little on them.
constexpr size_t kNearest = 4;
constexpr double kNearSquared = 0.002;  // sizes 10 % apart are hardly nearer than equal ones
constexpr double kPrior = 1;            // the weight of a piece that is like nothing (d = 1)

double distance_squared(const std::array<double, 4>& a, const std::array<double, 4>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double apart = (a[i] - b[i]) / (a[i] + b[i]);
    sum += apart * apart;
  }
  return sum;
}

}  // namespace

NearbyPieces::Sizes NearbyPieces::sizes_of(const Work& work) {
  if (work.product.m == 0) return {work.stream_bytes, 1, 1, 1};
  const Gemm& gemm = work.product;
  return {static_cast<double>(gemm.batch * gemm.steps), static_cast<double>(gemm.m),
          static_cast<double>(gemm.n), static_cast<double>(gemm.k)};
}

NearbyPieces::NearbyPieces(std::span<const MeasuredPiece> measured, const Roofline& roofline) {
  for (const auto& [piece, time] : measured) {
    if (piece.kind == OpKind::kElementwise || piece.phase == Phase::kBackward) continue;
    const Work work = work_of(piece);
    if (work.kernels == 0) continue;
    const double formula =
        roofline.launch_time(work).seconds() + roofline.run_seconds(work, piece.type);
    known_[routine_of(piece)].push_back({sizes_of(work), time.seconds() / formula});
  }
}

double NearbyPieces::factor(const Operator& op, Phase phase, const Work& work) const {
  if (known_.empty()) return 1;  // as of most devices
  const auto routine = known_.find(routine_of(op, phase));
  if (routine == known_.end()) return 1;
  const Sizes sizes = sizes_of(work);
  std::vector<std::pair<double, double>> nearest;  // distance squared, ratio
  for (const Known& known : routine->second) {
    nearest.emplace_back(distance_squared(sizes, known.sizes), known.ratio);
  }
  const size_t count = std::min(kNearest, nearest.size());
  std::partial_sort(nearest.begin(), nearest.begin() + static_cast<ptrdiff_t>(count),
                    nearest.end());
  double sum = kPrior;
  double inverse_sum = kPrior;
  for (size_t i = 0; i < count; ++i) {
    const double weight = 1 / (nearest[i].first + kNearSquared);
    sum += weight * nearest[i].second;
    inverse_sum += weight / nearest[i].second;
  }
  return std::sqrt(sum / inverse_sum);
}

}  // namespace soapbox
