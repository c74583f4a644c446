// UniAP's program on its tables, handed to the exact solver in integers (strategies/miqp).
#include <cmath>
#include <limits>

#include "sim/base/check.h"
#include "sim/base/str.h"
#include "strategies/miqp/instance.h"
#include "strategies/miqp/solve.h"
#include "strategies/uniap/miqp_instance.h"
#include "strategies/uniap/planners.h"

namespace soapbox::strategies::uniap {
namespace {

Assignment assignment_of(const miqp::Assignment& plan, size_t stages) {
  Assignment assignment;
  assignment.stage_begin.assign(stages, plan.stage.size());
  for (size_t u = plan.stage.size(); u-- > 0;) {
    assignment.stage_begin[plan.stage[u]] = u;
    SOAPBOX_CHECK(u == 0 || plan.stage[u - 1] <= plan.stage[u], "stages against the chain");
  }
  assignment.strategy.assign(plan.strategy.begin(), plan.strategy.end());
  return assignment;
}

const miqp::SolverRow& solver() {
  const Result<const miqp::SolverRow*> row = miqp::find_solver("exact");
  SOAPBOX_CHECK(row.has_value(), "the exact solver is built in");
  return **row;
}

}  // namespace

Result<miqp::Instance> to_instance(const CostTables& tables) {
  miqp::RealInstance real;
  real.layers = tables.layers;
  real.strategies = tables.strategies.size();
  real.stages = static_cast<size_t>(tables.stages);
  real.microbatches = tables.microbatches;
  for (const Edge& edge : tables.edges) {
    real.edges.push_back({static_cast<uint32_t>(edge.from), static_cast<uint32_t>(edge.to)});
  }
  const double never = std::numeric_limits<double>::quiet_NaN();
  for (size_t entry = 0; entry < tables.allowed.size(); ++entry) {
    const bool allowed = tables.allowed[entry] != 0;
    const LayerBytes& bytes = tables.memory[entry];
    real.compute.push_back(allowed ? tables.compute_s[entry] : never);
    real.memory.push_back(allowed ? bytes.states.as_double() : never);
    real.memory_per_microbatch.push_back(allowed ? bytes.activation.as_double() : 0);
  }
  for (const Bytes limit : tables.limit) real.memory_limit.push_back(limit.as_double());
  real.reshard = tables.reshard_s;
  real.reshard_cross = tables.reshard_cross_s;
  const bool all_held = tables.in_flight.back() == tables.microbatches;
  real.memory_model = all_held ? miqp::MemoryModel::kGpipe : miqp::MemoryModel::kOneForward;
  return miqp::quantise(real);
}

CellAnswer plan_miqp(const CostTables& tables, const PlanLimits& limits) {
  CellAnswer answer;
  const Result<miqp::Instance> instance = to_instance(tables);
  if (!instance) {
    answer.reason = instance.error().message;
    return answer;
  }
  miqp::SolveOptions options;
  options.time_limit_s = limits.cpu_s;
  options.stop = limits.stop;
  const double unit_s = std::pow(10.0, instance->time_exponent);
  if (limits.cutoff_s / unit_s < static_cast<double>(miqp::kMostObjective)) {
    options.cutoff = static_cast<int64_t>(std::ceil(limits.cutoff_s / unit_s));
  }
  const miqp::Solution solution = solver().solve(*instance, options);
  answer.solver = solution.solver;
  answer.labels = solution.labels;
  answer.proof_cpu_s = solution.proof_cpu_s;
  answer.bound_s = miqp::real_time(*instance, solution.bound);
  answer.proven = solution.proven();
  answer.reason = solution.reason;
  if (solution.plan)
    answer.assignment = assignment_of(*solution.plan, static_cast<size_t>(tables.stages));
  return answer;
}

}  // namespace soapbox::strategies::uniap
