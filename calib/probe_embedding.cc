#include "calib/probe.h"

namespace soapbox::calib {

// samples, length, channels
void probe_embedding(bool quick, Rng& rng, std::vector<std::variant<Piece, Stream>>& out) {
  for (int i = 0; i < (quick ? 3 : 8); ++i) {
    Piece piece;
    piece.kind = OpKind::kEmbedding;
    piece.extents = {log_uniform(1, 64, rng), log_uniform(1, 64, rng), log_uniform(64, 1024, rng)};
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
