#include "strategies/uniap/search_proof.h"

#include <algorithm>
#include <cmath>

#include "sim/base/str.h"
#include "strategies/miqp/certify.h"
#include "strategies/miqp/prove.h"
#include "strategies/miqp/stopwatch.h"
#include "strategies/uniap/miqp_instance.h"

namespace soapbox::strategies::uniap {
namespace {

// What integers may differ by from the seconds they stand for, relatively.
constexpr double kRounding = 1e-9;

CostTables cell_tables(const UnifiedRequest& request, const CellSize& cell) {
  return build_tables(request.costs, request.options, cell.stages, cell.microbatches,
                      request.global_batch);
}

// The best plan as the answer of a solver.
Result<miqp::Solution> solution_of(const miqp::Instance& instance, const UnifiedPlan& best) {
  miqp::Assignment plan;
  for (size_t i = 0; i < best.assignment.stage_begin.size(); ++i) {
    plan.stage.resize(best.assignment.stage_end(i), static_cast<uint32_t>(i));
  }
  plan.strategy.assign(best.assignment.strategy.begin(), best.assignment.strategy.end());
  const Result<miqp::Cost> cost = miqp::cost_of(instance, plan);
  if (!cost) return cost.error();
  miqp::Solution solution;
  solution.status = miqp::SolveStatus::kOptimal;
  solution.plan = std::move(plan);
  solution.objective = solution.bound = cost->objective;
  return solution;
}

Result<miqp::Certificate> prove_cell(const CostTables& tables, const UnifiedOutcome& outcome) {
  const Result<miqp::Instance> instance = to_instance(tables);
  if (!instance) return instance.error();
  if (!outcome.best) {
    miqp::Solution nothing;
    nothing.status = miqp::SolveStatus::kInfeasible;
    nothing.bound = miqp::kNoObjective;
    return miqp::prove(*instance, nothing);
  }
  const UnifiedPlan& best = *outcome.best;
  if (tables.stages == best.tables.stages && tables.microbatches == best.tables.microbatches) {
    const Result<miqp::Solution> solution = solution_of(*instance, best);
    if (!solution) return solution.error();
    return miqp::prove(*instance, *solution);
  }
  const double unit_s = std::pow(10.0, instance->time_exponent);
  const double bound = std::ceil(best.objective.total_s / unit_s);
  const auto most = static_cast<double>(miqp::kUnlimited) / 2;
  return miqp::prove(*instance, {}, static_cast<int64_t>(std::min(bound, most)));
}

Error interrupted() {
  return {ErrorCode::kInterrupted, "interrupted", {}};
}

}  // namespace

Result<std::vector<CellProof>> prove_search(const UnifiedRequest& request,
                                            const UnifiedOutcome& outcome) {
  std::vector<CellProof> proof;
  for (const CellSize& cell : cell_sizes(request)) {
    if (request.stop && request.stop()) return interrupted();
    CellProof& added = proof.emplace_back(CellProof{cell.stages, cell.microbatches, {}});
    const CostTables tables = cell_tables(request, cell);
    if (shortage(tables)) continue;
    Result<miqp::Certificate> certificate = prove_cell(tables, outcome);
    if (!certificate) return certificate.error();
    added.certificate = *std::move(certificate);
  }
  return proof;
}

Result<SearchProofReport> check_search(const UnifiedRequest& request,
                                       const std::vector<CellProof>& proof) {
  const miqp::Stopwatch stopwatch(1e9);
  const std::vector<CellSize> cells = cell_sizes(request);
  SearchProofReport report;
  double bound_s = kNoCutoff;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string name = cell_name(cells[i].stages, cells[i].microbatches);
    if (i >= proof.size() || proof[i].stages != cells[i].stages ||
        proof[i].microbatches != cells[i].microbatches) {
      return bad_input(str_cat("the proof has no certificate of ", name, " in its place"));
    }
    if (request.stop && request.stop()) return interrupted();
    const CostTables tables =
        stopwatch.timed(report.table_cpu_s, [&] { return cell_tables(request, cells[i]); });
    if (!proof[i].certificate) {
      if (shortage(tables)) continue;
      return bad_input(str_cat(name, ": assignments fit, but there is no certificate"));
    }
    const Result<miqp::Instance> instance = to_instance(tables);
    if (!instance) return instance.error();
    const miqp::Certificate& certificate = *proof[i].certificate;
    const Result<miqp::CertifyReport> checked = miqp::certify(*instance, certificate);
    if (!checked) return bad_input(str_cat(name, ": ", checked.error().message));
    report.leaves += checked->leaves;
    report.entries += checked->entries;
    if (certificate.objective < miqp::kUnlimited) {
      const double objective_s = miqp::real_time(*instance, certificate.objective);
      report.objective_s = std::min(report.objective_s.value_or(kNoCutoff), objective_s);
    }
    if (certificate.bound < miqp::kUnlimited) {
      bound_s = std::min(bound_s, miqp::real_time(*instance, certificate.bound));
    }
  }
  if (proof.size() > cells.size()) return bad_input("the proof has more cells than the search");
  report.cells = cells.size();
  report.check_cpu_s = stopwatch.elapsed_s() - report.table_cpu_s;
  const bool has_bound = bound_s < kNoCutoff;
  report.proven =
      report.objective_s ? bound_s >= *report.objective_s * (1 - kRounding) : !has_bound;
  report.bound_s = has_bound ? std::min(bound_s, report.objective_s.value_or(kNoCutoff)) : 0;
  return report;
}

}  // namespace soapbox::strategies::uniap
