#include "calib/probe.h"

namespace soapbox::calib {

// samples, steps, hidden | input and hidden
void probe_lstm(bool quick, Rng& rng, std::vector<std::variant<Piece, Stream>>& out) {
  for (int i = 0; i < (quick ? 4 : 12); ++i) {
    Piece piece;
    piece.kind = OpKind::kLstm;
    const int64_t hidden = log_uniform(32, 512, rng);
    piece.extents = {log_uniform(1, 64, rng), i % 2 == 0 ? 1 : log_uniform(2, 8, rng), hidden,
                     2 * hidden};
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
