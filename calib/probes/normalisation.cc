#include "calib/probes/probe.h"

namespace soapbox::calib {

// rows, channels
void probe_normalisation(const ProbeScope& scope, Rng& rng, std::vector<Measurable>& out) {
  for (int i = 0; i < (scope.quick ? 3 : 10) * (scope.gpu ? 3 : 1); ++i) {
    Piece piece;
    piece.kind = OpKind::kElementwise;
    piece.weighted = true;
    piece.extents = {log_uniform(8, 4096, rng), log_uniform(64, 1024, rng)};
    if (scope.gpu) {
      piece.type = i % 2 == 0 ? DataType::kFp32 : DataType::kBf16;
      piece.extents = {log_uniform(512, 65536, rng), log_uniform(2, 64, rng) * 128};
    }
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
