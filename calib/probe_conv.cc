#include <array>

#include "calib/probe.h"

namespace soapbox::calib {

// samples, channels, height, width | input channels: the windows of image networks
void probe_conv(bool quick, Rng& rng, std::vector<std::variant<Piece, Stream>>& out) {
  struct Window {
    int64_t kernel;
    int64_t stride;
  };
  constexpr std::array<Window, 5> kWindows = {{{1, 1}, {3, 1}, {3, 2}, {5, 1}, {7, 2}}};
  for (const Window& window : kWindows) {
    for (int i = 0; i < (quick ? 4 : 10); ++i) {
      Piece piece;
      piece.kind = OpKind::kConv2d;
      piece.kernel_h = piece.kernel_w = window.kernel;
      piece.stride = window.stride;
      const int64_t side = log_uniform(4, 28, rng);
      piece.extents = {log_uniform(1, 32, rng), log_uniform(6, 128, rng), side, side,
                       log_uniform(3, 128, rng)};
      add_phases(piece, out);
    }
  }
}

}  // namespace soapbox::calib
