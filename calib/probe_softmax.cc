#include "calib/probe.h"

namespace soapbox::calib {

// rows, classes
void probe_softmax(bool quick, Rng& rng, std::vector<std::variant<Piece, Stream>>& out) {
  for (int i = 0; i < (quick ? 5 : 14); ++i) {
    Piece piece;
    piece.kind = OpKind::kSoftmax;
    piece.extents = {log_uniform(8, 1024, rng), log_uniform(10, 4096, rng)};
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
