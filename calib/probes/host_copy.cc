#include "calib/probes/probe.h"

namespace soapbox::calib {

// From 4 KiB to 1 GiB; pageable copies, which the host makes itself, up to 64 MiB.
void probe_host_copy(const ProbeScope& scope, Rng&, std::vector<Measurable>& out) {
  constexpr int64_t kMostPageable = 64 << 20;
  if (!scope.gpu) return;
  for (int64_t bytes = 4 << 10; bytes <= 1 << 30; bytes *= scope.quick ? 4 : 2) {
    out.emplace_back(Stream{StreamWork::Kind::kToDevice, bytes, 1});
    out.emplace_back(Stream{StreamWork::Kind::kFromDevice, bytes, 1});
    out.emplace_back(Stream{StreamWork::Kind::kBothWays, bytes, 1});
    if (bytes > kMostPageable) continue;
    out.emplace_back(Stream{StreamWork::Kind::kToDevicePageable, bytes, 1});
    out.emplace_back(Stream{StreamWork::Kind::kFromDevicePageable, bytes, 1});
  }
}

}  // namespace soapbox::calib
