// HiGHS, through its C interface, on this thread.
#include <interfaces/highs_c_api.h>

#include <algorithm>
#include <memory>

#include "strategies/miqp/milp_backend.h"
#include "strategies/miqp/stopwatch.h"

namespace soapbox::miqp {
namespace {

struct Destroy {
  void operator()(void* highs) const { Highs_destroy(highs); }
};
using Handle = std::unique_ptr<void, Destroy>;

void load(void* highs, const MilpModel& model) {
  const double infinity = Highs_getInfinity(highs);
  std::vector<double> cost;
  std::vector<double> lower(model.columns.size(), 0);
  std::vector<double> upper;
  std::vector<HighsInt> integrality;
  for (const MilpColumn& column : model.columns) {
    cost.push_back(column.cost);
    upper.push_back(std::min(column.upper, infinity));
    integrality.push_back(column.is_integer ? kHighsVarTypeInteger : kHighsVarTypeContinuous);
  }
  std::vector<double> row_lower;
  std::vector<double> row_upper;
  std::vector<HighsInt> start;
  std::vector<HighsInt> index;
  std::vector<double> value;
  for (const MilpRow& row : model.rows) {
    row_lower.push_back(std::max(row.lower, -infinity));
    row_upper.push_back(std::min(row.upper, infinity));
    start.push_back(static_cast<HighsInt>(index.size()));
    for (const auto& [column, coefficient] : row.terms) {
      index.push_back(static_cast<HighsInt>(column));
      value.push_back(coefficient);
    }
  }
  Highs_passMip(highs, static_cast<HighsInt>(cost.size()), static_cast<HighsInt>(start.size()),
                static_cast<HighsInt>(index.size()), kHighsMatrixFormatRowwise,
                kHighsObjSenseMinimize, 0, cost.data(), lower.data(), upper.data(),
                row_lower.data(), row_upper.data(), start.data(), index.data(), value.data(),
                integrality.data());
}

void ask(int /*type*/, const char* /*message*/, const HighsCallbackDataOut* /*out*/,
         HighsCallbackDataIn* in, void* watch) {
  if (static_cast<const Stopwatch*>(watch)->expired()) in->user_interrupt = 1;
}

}  // namespace

// The cutoff is of no use to HiGHS: as a row it would make every relaxation degenerate.
MilpAnswer solve_by_highs(const MilpModel& model, const MilpLimits& limits) {
  MilpAnswer answer;
  // The library at hand may be another than the one that the program was built with.
  answer.reason =
      refusal_of_highs(Highs_versionMajor(), Highs_versionMinor(), Highs_versionPatch());
  if (!answer.reason.empty()) return answer;
  const Handle highs(Highs_create());
  Highs_setBoolOptionValue(highs.get(), "output_flag", 0);
  Highs_setIntOptionValue(highs.get(), "threads", 1);
  Highs_setDoubleOptionValue(highs.get(), "mip_rel_gap", 0);
  Highs_setDoubleOptionValue(highs.get(), "mip_abs_gap", 0);
  // With it HiGHS 1.15.1 calls one in 1,200 small programs infeasible that have an optimum, and
  // what it says of that cannot be checked.
  Highs_setStringOptionValue(highs.get(), "presolve", "off");
  // Memory rows are divided by their limit: less would let a plan through that does not fit.
  Highs_setDoubleOptionValue(highs.get(), "primal_feasibility_tolerance", 1e-9);
  Highs_setDoubleOptionValue(highs.get(), "mip_feasibility_tolerance", 1e-9);
  load(highs.get(), model);
  Stopwatch stopwatch(limits.time_s, limits.stop);
  Highs_setCallback(highs.get(), ask, &stopwatch);
  for (const HighsInt type : {kHighsCallbackSimplexInterrupt, kHighsCallbackMipInterrupt}) {
    Highs_startCallback(highs.get(), static_cast<int>(type));
  }
  Highs_run(highs.get());
  const HighsInt status = Highs_getModelStatus(highs.get());
  int64_t nodes = 0;
  Highs_getInt64InfoValue(highs.get(), "mip_node_count", &nodes);
  answer.nodes = static_cast<uint64_t>(std::max<int64_t>(nodes, 0));
  Highs_getDoubleInfoValue(highs.get(), "mip_dual_bound", &answer.bound);
  if (status == kHighsModelStatusInfeasible || status == kHighsModelStatusUnboundedOrInfeasible) {
    answer.claim = MilpAnswer::Claim::kInfeasible;
    return answer;
  }
  if (status == kHighsModelStatusOptimal) answer.claim = MilpAnswer::Claim::kOptimal;
  HighsInt solution = 0;
  Highs_getIntInfoValue(highs.get(), "primal_solution_status", &solution);
  if (solution == kHighsSolutionStatusFeasible) {
    answer.values.resize(model.columns.size());
    Highs_getSolution(highs.get(), answer.values.data(), nullptr, nullptr, nullptr);
    answer.objective = Highs_getObjectiveValue(highs.get());
  }
  return answer;
}

}  // namespace soapbox::miqp
