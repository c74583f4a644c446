// One row of results, and the formats that it is printed in.
#pragma once

#include <string>
#include <vector>

#include "results/table.h"
#include "scenarios/runner/options.h"

namespace soapbox::runner {

// One row, built field by field.
class Record {
 public:
  void add(std::string name, results::Cell cell);
  std::string render(results::Format format) const;

 private:
  std::vector<results::Column> columns_;
  std::vector<results::Cell> cells_;
};

// A number with so many decimals; a fraction in per cent: "12.30 %".
std::string fixed(double value, int decimals);
std::string percent(double fraction, int decimals);

// The --format of a command.
Option format_option();
Result<results::Format> read_format(const Arguments& arguments);

}  // namespace soapbox::runner
