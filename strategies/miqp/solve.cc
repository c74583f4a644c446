#include "strategies/miqp/solve.h"

#include <array>
#include <string>
#include <vector>

#include "sim/base/str.h"
#include "strategies/miqp/brute.h"
#include "strategies/miqp/exact.h"
#include "strategies/miqp/milp_backend.h"

namespace soapbox::miqp {
namespace {

constexpr std::array kSolvers = {
    SolverRow{"brute", "every assignment: for instances of a few layers", solve_brute},
    SolverRow{"exact", "branch and bound over the bottleneck, with proof", solve_exact},
    SolverRow{"milp", "linearised, by a general solver", solve_milp},
};

}  // namespace

std::span<const SolverRow> solver_table() {
  return kSolvers;
}

Result<const SolverRow*> find_solver(std::string_view name) {
  std::vector<std::string> known;
  for (const SolverRow& row : kSolvers) {
    if (row.name == name) return &row;
    known.emplace_back(row.name);
  }
  return bad_input(unknown_name("solver", name, known));
}

}  // namespace soapbox::miqp
