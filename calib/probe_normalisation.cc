#include "calib/probe.h"

namespace soapbox::calib {

// rows, channels
void probe_normalisation(bool quick, Rng& rng, std::vector<std::variant<Piece, Stream>>& out) {
  for (int i = 0; i < (quick ? 3 : 10); ++i) {
    Piece piece;
    piece.kind = OpKind::kElementwise;
    piece.weighted = true;
    piece.extents = {log_uniform(8, 4096, rng), log_uniform(64, 1024, rng)};
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
