#include "calib/probes/probe.h"

namespace soapbox::calib {

void probe_launch(const ProbeScope& scope, Rng&, std::vector<Measurable>& out) {
  if (scope.gpu) out.emplace_back(Stream{StreamWork::Kind::kLaunch, 1, 1});
}

}  // namespace soapbox::calib
