// Published figures as checked-in tables: results/reference/FIGURE.csv.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "results/rows.h"
#include "sim/base/result.h"

namespace soapbox::results {

// The cells of one figure; its name is the file's, without ".csv". Refuses, with file, line and
// column, anything that is not exactly such a table: another header, an unknown metric or grade, a
// number that is not positive, an empty name, a cell that is there twice.
Result<std::vector<ReferenceRow>> read_reference(const std::string& path);

// The value of a cell; nothing if the figure does not have it.
std::optional<double> find_reference(std::span<const ReferenceRow> rows, std::string_view model,
                                     std::string_view cluster, std::string_view strategy,
                                     int64_t devices, std::string_view metric);

}  // namespace soapbox::results
