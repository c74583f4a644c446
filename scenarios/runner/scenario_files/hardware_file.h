// The hardware catalogue: a CSV file with one device per row (scenarios/hardware/README.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/cluster/hardware.h"

namespace soapbox::runner {

class HardwareCatalogue {
 public:
  // Refuses missing and unknown columns, ids given twice, and figures that are not positive
  // numbers.
  static Result<HardwareCatalogue> read(const std::string& path);
  static Result<HardwareCatalogue> parse(std::string_view text, const std::string& file);

  // The device of this id; fails with the nearest one.
  Result<Hardware> find(std::string_view id) const;
  const std::vector<Hardware>& devices() const { return devices_; }  // in the order of the file
  // What the best product of 16-bit matrices was measured to reach; zero where nobody measured.
  FlopsPerSecond best_product(std::string_view id) const;

 private:
  std::vector<Hardware> devices_;
  std::vector<FlopsPerSecond> best_products_;  // of each device
};

}  // namespace soapbox::runner
