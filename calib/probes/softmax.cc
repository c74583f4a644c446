#include "calib/probes/probe.h"

namespace soapbox::calib {

// rows, classes
void probe_softmax(const ProbeScope& scope, Rng& rng, std::vector<Measurable>& out) {
  for (int i = 0; i < (scope.quick ? 5 : 14) * (scope.gpu ? 2 : 1); ++i) {
    Piece piece;
    piece.kind = OpKind::kSoftmax;
    piece.extents = {log_uniform(8, 1024, rng), log_uniform(10, 4096, rng)};
    if (scope.gpu) {
      piece.type = i % 2 == 0 ? DataType::kFp32 : DataType::kBf16;
      piece.extents = {log_uniform(64, 16384, rng), log_uniform(10, 65536, rng)};
    }
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
