#include "sim/simulate/outcome.h"

#include <cmath>

#include "sim/base/str.h"

namespace soapbox {
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
