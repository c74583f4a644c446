// General solvers of mixed integer linear programs, by name. Adding one: a file with its function,
// its row in the table.
//
// Nothing that a backend says is trusted: its values are rounded to an assignment, which is added
// up in integers and compared with what was claimed.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/miqp/milp.h"

namespace soapbox::miqp {

struct MilpLimits {
  double time_s = 1e9;
  double cutoff = 1e50;  // of the model's objective: answers at or above it are of no use
  std::function<bool()> stop = {};  // as SolveOptions has it
};

// In the units of the model.
struct MilpAnswer {
  enum class Claim { kNothing, kOptimal, kInfeasible };
  Claim claim = Claim::kNothing;
  std::vector<double> values;  // of all columns; empty: there is no plan
  double objective = 0;        // of `values`
  double bound = 0;            // no plan costs less
  uint64_t nodes = 0;
  double other_cpu_s = 0;  // spent outside the calling thread
  std::string reason;      // why there is no answer
};

struct MilpBackend {
  std::string_view name;
  std::string_view title;  // as its authors write it
  // Null where the program was built without it; then `missing` says what it takes.
  MilpAnswer (*solve)(const MilpModel& model, const MilpLimits& limits);
  std::string_view missing;
};

std::span<const MilpBackend> milp_backend_table();  // the default first
Result<const MilpBackend*> find_milp_backend(std::string_view name);
// The first that the program was built with, or null.
const MilpBackend* default_milp_backend();

MilpAnswer solve_by_cbc(const MilpModel& model, const MilpLimits& limits);
MilpAnswer solve_by_highs(const MilpModel& model, const MilpLimits& limits);
// Why a version of HiGHS is not used; empty where it is.
std::string refusal_of_highs(int major, int minor, int patch);

// By options.milp_backend, or by the default one.
Solution solve_milp(const Instance& instance, const SolveOptions& options = {});
// With pruning, infeasible means that no plan is left.
Solution solve_milp_form(const Instance& instance, const SolveOptions& options, MilpForm form,
                         const MilpPruning& pruning = {});

}  // namespace soapbox::miqp
