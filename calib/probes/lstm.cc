#include "calib/probes/probe.h"

namespace soapbox::calib {

// samples, steps, hidden | input and hidden
void probe_lstm(const ProbeScope& scope, Rng& rng, std::vector<Measurable>& out) {
  for (int i = 0; i < (scope.quick ? 4 : 12) * (scope.gpu ? 3 : 1); ++i) {
    Piece piece;
    piece.kind = OpKind::kLstm;
    const int64_t hidden = scope.gpu ? log_uniform(4, 32, rng) * 64 : log_uniform(32, 512, rng);
    piece.extents = {log_uniform(1, scope.gpu ? 512 : 64, rng),
                     i % 2 == 0 ? 1 : log_uniform(2, 8, rng), hidden, 2 * hidden};
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
