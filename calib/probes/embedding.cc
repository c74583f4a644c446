#include "calib/probes/probe.h"

namespace soapbox::calib {

// samples, length, channels
void probe_embedding(const ProbeScope& scope, Rng& rng, std::vector<Measurable>& out) {
  for (int i = 0; i < (scope.quick ? 3 : 8); ++i) {
    Piece piece;
    piece.kind = OpKind::kEmbedding;
    piece.extents = {log_uniform(1, scope.gpu ? 256 : 64, rng),
                     log_uniform(1, scope.gpu ? 512 : 64, rng), log_uniform(64, 1024, rng)};
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
