#include <algorithm>

#include "calib/probes/probe.h"

namespace soapbox::calib {
namespace {

using Points = std::vector<Measurable>;

// One type's products: some milliseconds at most, each gradient apart.
struct LinearSweep {
  DataType type = DataType::kFp32;
  int count = 0;
  double most_flops = 0;
  int64_t rows = 0;      // at most
  int64_t channels = 0;  // at most, input and output
  int64_t multiple = 1;  // of all sizes: what the units take
  int whole = 1;         // thirds of the points on whole vectors
};

// samples, output channels | input channels. Log-uniform, and a share on whole vectors: tails
// are the rule in split layers, round sizes in whole ones.
void add_sweep(const LinearSweep& sweep, Rng& rng, Points& out) {
  int left = sweep.count;
  while (left > 0) {
    Piece piece;
    piece.kind = OpKind::kLinear;
    piece.type = sweep.type;
    piece.extents = {log_uniform(1, sweep.rows, rng), log_uniform(10, sweep.channels, rng),
                     log_uniform(16, sweep.channels, rng)};
    double flops = 2;
    for (int64_t& extent : piece.extents) {
      const int64_t vector = left % 3 < sweep.whole && extent > 64 ? 64 : sweep.multiple;
      extent = std::max(sweep.multiple, extent / vector * vector);
      flops *= static_cast<double>(extent);
    }
    if (flops > sweep.most_flops) continue;
    --left;
    if (sweep.type == DataType::kFp8) {
      out.emplace_back(piece);  // the library has only the forward layout
    } else {
      add_phases(piece, out);
    }
  }
}

}  // namespace

void probe_linear(const ProbeScope& scope, Rng& rng, Points& out) {
  const int share = scope.quick ? 3 : 1;
  if (!scope.gpu) {
    return add_sweep({DataType::kFp32, scope.quick ? 24 : 80, 6e8, 4096, 2048, 1}, rng, out);
  }
  for (const LinearSweep& sweep : {LinearSweep{DataType::kFp32, 200, 2e11, 32768, 16384, 1, 2},
                                   LinearSweep{DataType::kTf32, 60, 1e12, 32768, 16384, 4, 2},
                                   LinearSweep{DataType::kBf16, 240, 3e12, 65536, 32768, 8, 2},
                                   LinearSweep{DataType::kFp16, 60, 3e12, 65536, 32768, 8, 2},
                                   LinearSweep{DataType::kFp8, 100, 6e12, 65536, 32768, 16, 2}}) {
    LinearSweep part = sweep;
    part.count /= share;
    add_sweep(part, rng, out);
  }
}

}  // namespace soapbox::calib
