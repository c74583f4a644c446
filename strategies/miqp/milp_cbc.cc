// The mixed integer linear program solved by Cbc, through its C interface.
#include <Cbc_C_Interface.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "sim/base/str.h"
#include "strategies/miqp/explain.h"
#include "strategies/miqp/milp.h"
#include "strategies/miqp/stopwatch.h"

namespace soapbox::miqp {
namespace {

void load(Cbc_Model* cbc, const MilpModel& model) {
  const size_t columns = model.columns.size();
  std::vector<std::vector<std::pair<int, double>>> by_column(columns);
  std::vector<double> row_lower;
  std::vector<double> row_upper;
  for (size_t r = 0; r < model.rows.size(); ++r) {
    row_lower.push_back(std::max(model.rows[r].lower, -1e50));
    row_upper.push_back(std::min(model.rows[r].upper, 1e50));
    for (const auto& [column, value] : model.rows[r].terms) {
      by_column[column].emplace_back(static_cast<int>(r), value);
    }
  }
  std::vector<int> start(1, 0);
  std::vector<int> index;
  std::vector<double> value;
  std::vector<double> lower(columns, 0);
  std::vector<double> upper;
  std::vector<double> cost;
  for (size_t c = 0; c < columns; ++c) {
    for (const auto& [row, coefficient] : by_column[c]) {
      index.push_back(row);
      value.push_back(coefficient);
    }
    start.push_back(static_cast<int>(index.size()));
    upper.push_back(std::min(model.columns[c].upper, 1e50));
    cost.push_back(model.columns[c].cost);
  }
  Cbc_loadProblem(cbc, static_cast<int>(columns), static_cast<int>(model.rows.size()), start.data(),
                  index.data(), value.data(), lower.data(), upper.data(), cost.data(),
                  row_lower.data(), row_upper.data());
  for (size_t c = 0; c < columns; ++c) {
    if (model.columns[c].is_integer) Cbc_setInteger(cbc, static_cast<int>(c));
  }
}

// Takes Cbc's answer only as far as the integers confirm it.
void confirm(const Instance& in, const MilpModel& model, Cbc_Model* cbc, Solution& solution) {
  const bool claims_optimal = Cbc_isProvenOptimal(cbc) != 0;
  const double* const values = Cbc_getColSolution(cbc);
  const std::optional<Assignment> plan =
      values && Cbc_numberSavedSolutions(cbc) > 0 ? read_choices(in, model, values) : std::nullopt;
  if (!plan) {
    solution.reason = "Cbc gave no plan";
    return;
  }
  const Result<Cost> cost = cost_of(in, *plan);
  if (!cost) {
    solution.reason = str_cat("Cbc's plan breaks a constraint: ", cost.error().message);
    return;
  }
  solution.plan = plan;
  solution.objective = cost->objective;
  const double claimed = Cbc_getObjValue(cbc) / model.time_scale;
  const double bound = Cbc_getBestPossibleObjValue(cbc) / model.time_scale;
  const auto exact = static_cast<double>(cost->objective);
  // Cbc's numbers are good to about 1e-6 of the objective.
  const double tolerance = 1e-6 * std::max(exact, 1.0);
  solution.bound = static_cast<int64_t>(std::max(0.0, std::min(bound, exact) - tolerance));
  if (std::abs(claimed - exact) > tolerance) {
    solution.reason = str_cat("Cbc claims ", claimed, " units, and its plan costs ", exact);
  } else if (claims_optimal) {
    solution.status = SolveStatus::kOptimal;
    solution.bound = solution.objective;
  }
}

}  // namespace

bool has_milp_solver() {
  return true;
}

Solution solve_milp_form(const Instance& in, const SolveOptions& options, MilpForm form,
                         const MilpPruning& pruning) {
  const Stopwatch stopwatch(options.time_limit_s);
  // Costs of about 1 to 1e5, where Cbc's absolute tolerances are small.
  int64_t largest = 1;
  for (const int64_t time : in.compute) {
    if (time != kNotAllowed) largest = std::max(largest, time);
  }
  const MilpModel model = build_milp(in, form, 1000.0 / static_cast<double>(largest), pruning);
  const auto explain = [&] {
    return pruning.alive.empty() ? explain_infeasible(in) : "nothing is left";
  };
  Solution solution;
  solution.solver = "milp";
  const bool empty_row = std::any_of(model.rows.begin(), model.rows.end(), [](const MilpRow& row) {
    return row.terms.empty() && row.lower > 0;
  });
  if (empty_row) {
    solution.status = SolveStatus::kInfeasible;
    solution.bound = kNoObjective;
    solution.reason = explain();
    return solution;
  }
  const std::unique_ptr<Cbc_Model, decltype(&Cbc_deleteModel)> cbc(Cbc_newModel(),
                                                                   &Cbc_deleteModel);
  load(cbc.get(), model);
  Cbc_setLogLevel(cbc.get(), 0);
  Cbc_setAllowableGap(cbc.get(), 0);
  Cbc_setAllowableFractionGap(cbc.get(), 0);
  if (options.time_limit_s < 1e9) Cbc_setMaximumSeconds(cbc.get(), options.time_limit_s);
  if (pruning.cutoff != kNoObjective) {
    Cbc_setCutoff(cbc.get(), static_cast<double>(pruning.cutoff) * model.time_scale);
  }
  Cbc_solve(cbc.get());
  solution.nodes = static_cast<uint64_t>(std::max(Cbc_getNodeCount(cbc.get()), 0));
  if (Cbc_isProvenInfeasible(cbc.get())) {
    solution.status = SolveStatus::kInfeasible;
    solution.bound = kNoObjective;
    solution.reason = explain();
  } else {
    confirm(in, model, cbc.get(), solution);
  }
  solution.cpu_s = solution.search_cpu_s = stopwatch.elapsed_s();
  return solution;
}

}  // namespace soapbox::miqp
