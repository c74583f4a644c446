#include "calib/probe.h"

namespace soapbox::calib {

// samples, output channels | input channels. Log-uniform, and every third on whole vectors: tails
// are the rule in split layers, round sizes in whole ones.
void probe_linear(bool quick, Rng& rng, std::vector<std::variant<Piece, Stream>>& out) {
  constexpr double kMostFlops = 6e8;  // some milliseconds on one core
  int left = quick ? 24 : 80;
  while (left > 0) {
    Piece piece;
    piece.kind = OpKind::kLinear;
    piece.extents = {log_uniform(1, 4096, rng), log_uniform(10, 2048, rng),
                     log_uniform(16, 2048, rng)};
    double flops = 2;
    for (int64_t& extent : piece.extents) {
      if (left % 3 == 0 && extent > 64) extent = extent / 64 * 64;
      flops *= static_cast<double>(extent);
    }
    if (flops > kMostFlops) continue;
    --left;
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
