#include <array>

#include "calib/probes/probe.h"

namespace soapbox::calib {

// samples, channels, height, width | input channels: the windows of image networks
void probe_conv(const ProbeScope& scope, Rng& rng, std::vector<Measurable>& out) {
  struct Window {
    int64_t kernel;
    int64_t stride;
  };
  constexpr std::array<Window, 6> kWindows = {{{1, 1}, {3, 1}, {3, 2}, {5, 1}, {7, 2}, {1, 2}}};
  for (const Window& window : kWindows) {
    if (!scope.gpu && &window == &kWindows.back()) break;  // a shortcut of residual networks
    for (int i = 0; i < (scope.quick ? 4 : 10) * (scope.gpu ? 4 : 1); ++i) {
      Piece piece;
      piece.kind = OpKind::kConv2d;
      piece.kernel_h = piece.kernel_w = window.kernel;
      piece.stride = window.stride;
      if (scope.gpu) {
        // Half of the points as networks have them: 7, 14, ... 112.
        const bool usual = i % 2 == 0;
        const int64_t side = usual ? int64_t{7} << rng.below(5) : log_uniform(7, 112, rng);
        const int64_t whole = usual ? 32 : 8;
        // As in networks: the wider the image, the fewer channels.
        const int64_t most = std::max<int64_t>(64, 8192 / side);
        piece.extents = {log_uniform(8, 128, rng), log_uniform(32, most, rng) / whole * whole, side,
                         side, i == 0 ? 3 : log_uniform(32, most, rng) / whole * whole};
      } else {
        const int64_t side = log_uniform(4, 28, rng);
        piece.extents = {log_uniform(1, 32, rng), log_uniform(6, 128, rng), side, side,
                         log_uniform(3, 128, rng)};
      }
      add_phases(piece, out);
    }
  }
}

}  // namespace soapbox::calib
