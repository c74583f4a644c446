#include "calib/probes/probe.h"

namespace soapbox::calib {

// From 1 KiB to 16 MiB.
void probe_loopback(const ProbeScope& scope, Rng&, std::vector<Measurable>& out) {
  if (scope.gpu) return;
  for (int64_t bytes = 1 << 10; bytes <= 16 << 20; bytes *= scope.quick ? 4 : 2) {
    out.emplace_back(Stream{StreamWork::Kind::kLoopback, bytes, 1});
  }
}

}  // namespace soapbox::calib
