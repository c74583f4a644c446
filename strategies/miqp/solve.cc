#include "strategies/miqp/solve.h"

#include <array>
#include <string>
#include <vector>

#include "sim/base/find_row.h"
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
  return find_row(kSolvers, "solver", name);
}

}  // namespace soapbox::miqp
