#include "calib/probes/probe.h"

namespace soapbox::calib {

// From the first-level cache to memory, by powers of four; activations and additions.
void probe_elementwise(const ProbeScope& scope, Rng&, std::vector<Measurable>& out) {
  for (int64_t count = 1 << 10; count <= (scope.gpu ? 1 << 28 : 1 << 22);
       count *= scope.quick ? 16 : 4) {
    for (const int64_t inputs : {1, 2}) {
      Piece piece;
      piece.kind = OpKind::kElementwise;
      piece.inputs = inputs;
      piece.extents = {count / 256, 256};
      add_phases(piece, out);
    }
  }
}

}  // namespace soapbox::calib
