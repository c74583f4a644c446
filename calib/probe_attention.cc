#include "calib/probe.h"

namespace soapbox::calib {

// samples, queries, channels | states
void probe_attention(bool quick, Rng& rng, std::vector<std::variant<Piece, Stream>>& out) {
  for (int i = 0; i < (quick ? 8 : 24); ++i) {
    Piece piece;
    piece.kind = OpKind::kAttention;
    piece.inputs = 2;
    const int64_t length = log_uniform(8, 128, rng);
    piece.extents = {log_uniform(1, 64, rng), length, log_uniform(32, 256, rng), length};
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
