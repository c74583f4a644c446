// Cbc, through its C interface. The library comes with fifteen others, whose loading would cost
// every command more than most of them take, and it cannot be stopped while it solves: it is opened
// and runs in a process of its own. Where that is killed, what Cbc had found goes with it.
#include <Cbc_C_Interface.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <type_traits>

#include "sim/base/str.h"
#include "strategies/miqp/child_process.h"
#include "strategies/miqp/milp_backend.h"

namespace soapbox::miqp {
namespace {

// Cbc looks at its clock now and then only; after this much more it is killed.
constexpr double kGrace_s = 5;

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

MilpAnswer solve(const CbcLibrary& library, const MilpModel& model, const MilpLimits& limits) {
  const std::unique_ptr<Cbc_Model, decltype(library.deleteModel)> cbc(library.newModel(),
                                                                      library.deleteModel);
  load(library, cbc.get(), model);
  library.setLogLevel(cbc.get(), 0);
  library.setAllowableGap(cbc.get(), 0);
  library.setAllowableFractionGap(cbc.get(), 0);
  if (limits.time_s < 1e9) library.setMaximumSeconds(cbc.get(), limits.time_s);
  library.setCutoff(cbc.get(), limits.cutoff);
  library.solve(cbc.get());
  MilpAnswer answer;
  answer.nodes = static_cast<uint64_t>(std::max(library.getNodeCount(cbc.get()), 0));
  answer.bound = library.getBestPossibleObjValue(cbc.get());
  if (library.isProvenInfeasible(cbc.get())) {
    answer.claim = MilpAnswer::Claim::kInfeasible;
  } else if (library.isProvenOptimal(cbc.get())) {
    answer.claim = MilpAnswer::Claim::kOptimal;
  }
  const double* const values = library.getColSolution(cbc.get());
  if (values != nullptr && library.numberSavedSolutions(cbc.get()) > 0) {
    answer.values.assign(values, values + model.columns.size());
    answer.objective = library.getObjValue(cbc.get());
  }
  return answer;
}

// An answer as the bytes that a process sends, which is the same program.
struct Wire {
  MilpAnswer::Claim claim;
  double objective;
  double bound;
  uint64_t nodes;
};

std::string to_bytes(const MilpAnswer& answer) {
  const Wire head{answer.claim, answer.objective, answer.bound, answer.nodes};
  std::string bytes(sizeof head + answer.values.size() * sizeof(double), '\0');
  std::memcpy(bytes.data(), &head, sizeof head);
  std::copy_n(reinterpret_cast<const char*>(answer.values.data()), bytes.size() - sizeof head,
              bytes.begin() + sizeof head);
  return bytes;
}

MilpAnswer from_bytes(const std::string& bytes) {
  Wire head{};
  std::memcpy(&head, bytes.data(), sizeof head);
  MilpAnswer answer{.claim = head.claim,
                    .values = std::vector<double>((bytes.size() - sizeof head) / sizeof(double)),
                    .objective = head.objective,
                    .bound = head.bound,
                    .nodes = head.nodes,
                    .reason = {}};
  std::copy_n(bytes.begin() + sizeof head, bytes.size() - sizeof head,
              reinterpret_cast<char*>(answer.values.data()));
  return answer;
}

}  // namespace

MilpAnswer solve_by_cbc(const MilpModel& model, const MilpLimits& limits) {
  const ChildResult child = run_in_child(
      [&] {
        const std::optional<CbcLibrary> library = open_cbc();
        return library ? to_bytes(solve(*library, model, limits)) : std::string();
      },
      limits.stop, limits.time_s + kGrace_s);
  MilpAnswer answer;
  if (!child.output) {
    answer.reason = "Cbc was stopped before it gave a plan";
  } else if (child.output->size() < sizeof(Wire)) {
    answer.reason =
        str_cat("cannot load ", SOAPBOX_CBC_LIBRARY, " (Debian package coinor-libcbc3)");
  } else {
    answer = from_bytes(*child.output);
  }
  answer.other_cpu_s = child.cpu_s;
  return answer;
}

}  // namespace soapbox::miqp
