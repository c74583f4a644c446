#include "calib/probes/probe.h"

namespace soapbox::calib {

// samples, queries, channels | states
void probe_attention(const ProbeScope& scope, Rng& rng, std::vector<Measurable>& out) {
  for (int i = 0; i < (scope.quick ? 8 : 24) * (scope.gpu ? 2 : 1); ++i) {
    Piece piece;
    piece.kind = OpKind::kAttention;
    piece.inputs = 2;
    if (scope.gpu) {  // samples x heads; half of the points in bf16
      const int64_t length = log_uniform(2, 32, rng) * 64;
      piece.type = i % 2 == 0 ? DataType::kFp32 : DataType::kBf16;
      piece.extents = {log_uniform(4, 256, rng), length, i % 3 == 0 ? 128 : 64, length};
    } else {
      const int64_t length = log_uniform(8, 128, rng);
      piece.extents = {log_uniform(1, 64, rng), length, log_uniform(32, 256, rng), length};
    }
    add_phases(piece, out);
  }
}

}  // namespace soapbox::calib
