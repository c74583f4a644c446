#include "calib/probes/probe.h"

namespace soapbox::calib {

// Whichever counts is inside the other: a product of 4096^3 takes some 0.2 ms and the copy beside
// it some 2.4; the copy that counts takes some 19 ms, and a row of products beside it as long.
void probe_overlap(const ProbeScope& scope, Rng&, std::vector<Measurable>& out) {
  if (!scope.gpu) return;
  out.emplace_back(Stream{StreamWork::Kind::kProduct, 128 << 20, 1});
  out.emplace_back(Stream{StreamWork::Kind::kProductBesideCopy, 128 << 20, 1});
  out.emplace_back(Stream{StreamWork::Kind::kCopyBesideProduct, 1 << 30, 1});
}

}  // namespace soapbox::calib
