#include "sim/simulate/outcome.h"

#include <algorithm>
#include <cmath>

#include "sim/base/str.h"

namespace soapbox {

std::array<std::pair<std::string_view, Bytes>, 5> components_of(const MemoryUse& use) {
  return {{{"parameters", use.parameters},
           {"gradients", use.gradients},
           {"optimizer", use.optimizer},
           {"activations", use.activations},
           {"buffers", use.buffers}}};
}

std::string_view largest_component(const MemoryUse& use) {
  const auto parts = components_of(use);
  return std::ranges::max_element(parts, {}, [](const auto& part) { return part.second; })->first;
}

std::string gibibytes_text(Bytes bytes) {
  const double gib = bytes.as_double() / gibibytes(1).as_double();
  return str_cat(std::round(gib * 10) / 10, " GiB");
}

std::string describe(const Cluster& cluster, const Infeasible& reason) {
  const std::string& name = cluster.device_name(reason.device);
  if (reason.reason == Infeasible::Reason::kDeadlock) {
    return str_cat("deadlock on ", name, ": ", reason.component);
  }
  return str_cat("out of memory on ", name, ": needs ", gibibytes_text(reason.needed),
                 " (most for ", reason.component, "), ", gibibytes_text(reason.available),
                 " available");
}

}  // namespace soapbox
