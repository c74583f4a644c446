// Reads scenarios/profiles/run_factors.csv: what separates the kernels of a device alone from a
// training step, one line for each family of devices.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/result.h"
#include "sim/parallel/run_factors.h"

namespace soapbox::runner {

class RunFactorTable {
 public:
  // An empty cell is the neutral value. Error: another header, a number that is not positive, no
  // line for "*", a family given twice.
  static Result<RunFactorTable> read(const std::string& path);
  static Result<RunFactorTable> parse(std::string_view text, const std::string& file);

  // Of the longest family that the hardware's name begins with, else of "*".
  const RunFactors& of(std::string_view hardware) const;

 private:
  std::vector<std::pair<std::string, RunFactors>> rows_;
};

}  // namespace soapbox::runner
