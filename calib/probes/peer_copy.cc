#include "calib/probes/probe.h"

namespace soapbox::calib {

// From 4 KiB to 1 GiB, from the first GPU to one of each kind of neighbour that it has.
void probe_peer_copy(const ProbeScope& scope, Rng&, std::vector<Measurable>& out) {
  for (const int64_t peer : scope.peers) {
    for (int64_t bytes = 4 << 10; bytes <= 1 << 30; bytes *= scope.quick ? 4 : 2) {
      out.emplace_back(Stream{StreamWork::Kind::kToPeer, bytes, 1, peer});
      out.emplace_back(Stream{StreamWork::Kind::kBothWaysPeer, bytes, 1, peer});
    }
  }
}

}  // namespace soapbox::calib
