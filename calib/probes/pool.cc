#include "calib/probes/probe.h"

namespace soapbox::calib {

// samples, channels, height, width
void probe_pool(const ProbeScope& scope, Rng& rng, std::vector<Measurable>& out) {
  for (int i = 0; i < (scope.quick ? 4 : 10) * (scope.gpu ? 2 : 1); ++i) {
    Piece piece;
    piece.kind = OpKind::kPool2d;
    piece.kernel_h = piece.kernel_w = i % 2 == 0 ? 2 : 3;
    piece.stride = 2;
    const int64_t side = log_uniform(4, scope.gpu ? 112 : 28, rng);
    piece.extents = {log_uniform(1, scope.gpu ? 128 : 64, rng), log_uniform(6, 128, rng), side,
                     side};
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
