// Where no MILP solver was found.
#include "strategies/miqp/milp.h"

namespace soapbox::miqp {

bool has_milp_solver() {
  return false;
}

Solution solve_milp_form(const Instance&, const SolveOptions&, MilpForm, const MilpPruning&) {
  Solution solution;
  solution.solver = "milp";
  solution.reason = "this program was built without Cbc (Debian package coinor-libcbc-dev)";
  return solution;
}

}  // namespace soapbox::miqp
