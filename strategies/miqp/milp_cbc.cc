// The mixed integer linear program solved by Cbc, through its C interface. The library comes with
// fifteen others, whose loading would cost every command more than most of them take: it is opened
// when it is first needed.
#include <Cbc_C_Interface.h>
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <type_traits>

#include "sim/base/str.h"
#include "strategies/miqp/explain.h"
#include "strategies/miqp/milp.h"
#include "strategies/miqp/stopwatch.h"

namespace soapbox::miqp {
namespace {

struct CbcLibrary {
  decltype(&::Cbc_deleteModel) deleteModel = nullptr;
  decltype(&::Cbc_getBestPossibleObjValue) getBestPossibleObjValue = nullptr;
  decltype(&::Cbc_getColSolution) getColSolution = nullptr;
  decltype(&::Cbc_getNodeCount) getNodeCount = nullptr;
  decltype(&::Cbc_getObjValue) getObjValue = nullptr;
  decltype(&::Cbc_isProvenInfeasible) isProvenInfeasible = nullptr;
  decltype(&::Cbc_isProvenOptimal) isProvenOptimal = nullptr;
  decltype(&::Cbc_loadProblem) loadProblem = nullptr;
  decltype(&::Cbc_newModel) newModel = nullptr;
  decltype(&::Cbc_numberSavedSolutions) numberSavedSolutions = nullptr;
  decltype(&::Cbc_setAllowableFractionGap) setAllowableFractionGap = nullptr;
  decltype(&::Cbc_setAllowableGap) setAllowableGap = nullptr;
  decltype(&::Cbc_setCutoff) setCutoff = nullptr;
  decltype(&::Cbc_setInteger) setInteger = nullptr;
  decltype(&::Cbc_setLogLevel) setLogLevel = nullptr;
  decltype(&::Cbc_setMaximumSeconds) setMaximumSeconds = nullptr;
  decltype(&::Cbc_solve) solve = nullptr;
};

// Nothing where the library or one of the functions is missing.
std::optional<CbcLibrary> open_cbc() {
  void* const library = dlopen(SOAPBOX_CBC_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  CbcLibrary cbc;
  bool complete = true;
  const auto bind = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
    complete = complete && function != nullptr;
  };
  bind(cbc.deleteModel, "Cbc_deleteModel");
  bind(cbc.getBestPossibleObjValue, "Cbc_getBestPossibleObjValue");
  bind(cbc.getColSolution, "Cbc_getColSolution");
  bind(cbc.getNodeCount, "Cbc_getNodeCount");
  bind(cbc.getObjValue, "Cbc_getObjValue");
  bind(cbc.isProvenInfeasible, "Cbc_isProvenInfeasible");
  bind(cbc.isProvenOptimal, "Cbc_isProvenOptimal");
  bind(cbc.loadProblem, "Cbc_loadProblem");
  bind(cbc.newModel, "Cbc_newModel");
  bind(cbc.numberSavedSolutions, "Cbc_numberSavedSolutions");
  bind(cbc.setAllowableFractionGap, "Cbc_setAllowableFractionGap");
  bind(cbc.setAllowableGap, "Cbc_setAllowableGap");
  bind(cbc.setCutoff, "Cbc_setCutoff");
  bind(cbc.setInteger, "Cbc_setInteger");
  bind(cbc.setLogLevel, "Cbc_setLogLevel");
  bind(cbc.setMaximumSeconds, "Cbc_setMaximumSeconds");
  bind(cbc.solve, "Cbc_solve");
  if (!complete) return std::nullopt;
  return cbc;
}

void load(const CbcLibrary& library, Cbc_Model* cbc, const MilpModel& model) {
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
  library.loadProblem(cbc, static_cast<int>(columns), static_cast<int>(model.rows.size()),
                      start.data(), index.data(), value.data(), lower.data(), upper.data(),
                      cost.data(), row_lower.data(), row_upper.data());
  for (size_t c = 0; c < columns; ++c) {
    if (model.columns[c].is_integer) library.setInteger(cbc, static_cast<int>(c));
  }
}

// Takes Cbc's answer only as far as the integers confirm it.
void confirm(const CbcLibrary& library, const Instance& in, const MilpModel& model, Cbc_Model* cbc,
             Solution& solution) {
  const bool claims_optimal = library.isProvenOptimal(cbc) != 0;
  const double* const values = library.getColSolution(cbc);
  const std::optional<Assignment> plan = values && library.numberSavedSolutions(cbc) > 0
                                             ? read_choices(in, model, values)
                                             : std::nullopt;
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
  const double claimed = library.getObjValue(cbc) / model.time_scale;
  const double bound = library.getBestPossibleObjValue(cbc) / model.time_scale;
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
  return open_cbc().has_value();
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
  const std::optional<CbcLibrary> opened = open_cbc();
  if (!opened) {
    solution.reason =
        str_cat("cannot load ", SOAPBOX_CBC_LIBRARY, " (Debian package coinor-libcbc3)");
    return solution;
  }
  const CbcLibrary& library = *opened;
  const std::unique_ptr<Cbc_Model, decltype(library.deleteModel)> cbc(library.newModel(),
                                                                      library.deleteModel);
  load(library, cbc.get(), model);
  library.setLogLevel(cbc.get(), 0);
  library.setAllowableGap(cbc.get(), 0);
  library.setAllowableFractionGap(cbc.get(), 0);
  if (options.time_limit_s < 1e9) library.setMaximumSeconds(cbc.get(), options.time_limit_s);
  if (pruning.cutoff != kNoObjective) {
    library.setCutoff(cbc.get(), static_cast<double>(pruning.cutoff) * model.time_scale);
  }
  library.solve(cbc.get());
  solution.nodes = static_cast<uint64_t>(std::max(library.getNodeCount(cbc.get()), 0));
  if (library.isProvenInfeasible(cbc.get())) {
    solution.status = SolveStatus::kInfeasible;
    solution.bound = kNoObjective;
    solution.reason = explain();
  } else {
    confirm(library, in, model, cbc.get(), solution);
  }
  solution.cpu_s = solution.search_cpu_s = stopwatch.elapsed_s();
  return solution;
}

}  // namespace soapbox::miqp
