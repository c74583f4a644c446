#include "calib/probes/probe.h"

namespace soapbox::calib {

// From 4 KiB to 16 MiB; copies are what a link between two threads amounts to.
void probe_memory(const ProbeScope& scope, Rng&, std::vector<Measurable>& out) {
  for (int64_t bytes = 4 << 10; bytes <= (scope.gpu ? 1 << 30 : 16 << 20);
       bytes *= scope.quick ? 4 : 2) {
    out.emplace_back(Stream{StreamWork::Kind::kCopy, bytes, 1});
    out.emplace_back(Stream{StreamWork::Kind::kUpdate, bytes, 2});
    out.emplace_back(Stream{StreamWork::Kind::kSum, bytes, 2});
  }
}

}  // namespace soapbox::calib
