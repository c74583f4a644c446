// The solvers of the program by name.
#pragma once

#include <span>
#include <string_view>

#include "strategies/miqp/solution.h"

namespace soapbox::miqp {

struct SolverRow {
  std::string_view name;
  std::string_view summary;
  // REQUIRES: validate(instance).
  Solution (*solve)(const Instance& instance, const SolveOptions& options);
};

std::span<const SolverRow> solver_table();  // sorted by name
Result<const SolverRow*> find_solver(std::string_view name);

}  // namespace soapbox::miqp
