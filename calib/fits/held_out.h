// Which rows of a table of measured kernels may be fitted: its first column says.
#pragma once

#include <string>

#include "sim/base/csv.h"

namespace soapbox::calib {

// Error: neither "train" nor "test", with its place.
inline Result<bool> read_held_out(const CsvTable& table, size_t row) {
  const std::string& split = table.text(row, 0);
  if (split != "train" && split != "test") return table.error(row, 0, "must be train or test");
  return split == "test";
}

}  // namespace soapbox::calib
