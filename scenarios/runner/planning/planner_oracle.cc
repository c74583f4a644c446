#include "scenarios/runner/planning/planner_oracle.h"

#include <algorithm>
#include <vector>

#include "results/stats.h"
#include "sim/base/check.h"
#include "sim/base/str.h"
#include "strategies/uniap/candidates.h"
#include "strategies/uniap/to_plan.h"

namespace soapbox::runner {
namespace {

namespace uniap = strategies::uniap;

class Oracle {
 public:
  Oracle(const ParallelProblem& problem, const uniap::TransformerCostsOptions& costs,
         const uniap::TableOptions& tables, int64_t global_batch)
      : problem_(problem), costs_(costs), options_(tables), global_batch_(global_batch) {}

  void add(const uniap::Candidate& candidate);
  OracleReport finish();

 private:
  // Seconds, or nothing where the plan does not fit.
  std::optional<double> simulate(const uniap::Candidate& candidate) const;

  const ParallelProblem& problem_;
  const uniap::TransformerCostsOptions& costs_;
  const uniap::TableOptions& options_;
  int64_t global_batch_;
  OracleReport report_;
  std::vector<double> analytic_s_;
  std::vector<double> simulated_s_;
};

std::optional<double> Oracle::simulate(const uniap::Candidate& candidate) const {
  const ParallelPlan plan = uniap::to_parallel_plan(*candidate.tables, candidate.assignment, costs_,
                                                    options_, global_batch_);
  const Status valid = check_parallel_plan(problem_.model, plan, problem_.cluster.device_count());
  SOAPBOX_CHECK(valid.has_value(), "a candidate is not a plan");
  const Outcome outcome = simulate_parallel(problem_, plan).outcome;
  const auto* report = std::get_if<Report>(&outcome);
  if (report == nullptr) return std::nullopt;
  return report->iteration_time.seconds();
}

void Oracle::add(const uniap::Candidate& candidate) {
  const bool by_hand = candidate.origin == uniap::Candidate::Origin::kGrid;
  const bool fits = uniap::evaluate(*candidate.tables, candidate.assignment).has_value();
  const std::optional<double> simulated_s = simulate(candidate);
  ++report_.candidates;
  report_.disagreements += fits != simulated_s.has_value() ? 1 : 0;
  report_.grid += by_hand ? 1 : 0;
  report_.grid_tables += by_hand && fits ? 1 : 0;
  if (!simulated_s) return;
  analytic_s_.push_back(uniap::value_of(*candidate.tables, candidate.assignment).total_s);
  simulated_s_.push_back(*simulated_s);
  if (report_.runs == 0 || *simulated_s < report_.best_s) {
    report_.best_s = *simulated_s;
    report_.best_plan =
        str_cat(uniap::cell_name(candidate.tables->stages, candidate.tables->microbatches), ", ",
                to_string(candidate.origin));
  }
  ++report_.runs;
  if (!by_hand) return;
  const bool first = report_.grid_runs == 0;
  report_.grid_best_s = first ? *simulated_s : std::min(report_.grid_best_s, *simulated_s);
  report_.grid_worst_s = std::max(report_.grid_worst_s, *simulated_s);
  ++report_.grid_runs;
}

OracleReport Oracle::finish() {
  if (report_.runs > 0) {
    report_.mean_error = results::mean_absolute_relative_error(analytic_s_, simulated_s_);
  }
  if (report_.runs > 1) {
    report_.spearman = results::rank_correlation(analytic_s_, simulated_s_);
    report_.kendall = results::kendall_correlation(analytic_s_, simulated_s_);
  }
  return std::move(report_);
}

}  // namespace

double OracleReport::grid_infeasible() const {
  return grid == 0 ? 0 : static_cast<double>(grid - grid_runs) / static_cast<double>(grid);
}

double OracleReport::grid_spread() const {
  return grid_runs == 0 ? 0 : grid_worst_s / grid_best_s;
}

OracleReport planner_oracle(const ParallelProblem& problem, const uniap::LayerCosts& layers,
                            const uniap::TransformerCostsOptions& costs,
                            const uniap::TableOptions& tables, int64_t global_batch,
                            const uniap::UnifiedOutcome& chosen, const OracleSpec& spec,
                            const std::function<bool()>& stop) {
  uniap::Candidates candidates(layers, tables, global_batch);
  candidates.add_grid();
  Rng rng(spec.seed);
  candidates.add_samples(spec.samples, rng, stop);
  if (chosen.best) candidates.add_neighbours(chosen.best->tables, chosen.best->assignment);
  Oracle oracle(problem, costs, tables, global_batch);
  for (const uniap::Candidate& candidate : candidates.plans()) {
    if (stop && stop()) break;
    oracle.add(candidate);
  }
  return oracle.finish();
}

void add_oracle(Record& record, const OracleReport& report, std::optional<double> chosen_s) {
  const auto where = [](bool known, double value) {
    return known ? results::Cell(value) : results::Cell();
  };
  const auto optional = [](const std::optional<double>& value) {
    return value ? results::Cell(*value) : results::Cell();
  };
  record.add("oracle_candidates", report.candidates);
  record.add("oracle_runs", report.runs);
  record.add("oracle_memory_disagreements", report.disagreements);
  record.add("oracle_best_s", where(report.runs > 0, report.best_s));
  record.add("oracle_best_plan", report.best_plan);
  const bool both = chosen_s && report.runs > 0;
  record.add("oracle_gap", where(both, both ? *chosen_s / report.best_s - 1 : 0));
  record.add("oracle_spearman", optional(report.spearman));
  record.add("oracle_kendall", optional(report.kendall));
  record.add("oracle_mean_error", where(report.runs > 0, report.mean_error));
  record.add("grid_plans", report.grid);
  record.add("grid_fit_by_tables", report.grid_tables);
  record.add("grid_runs", report.grid_runs);
  record.add("grid_infeasible", report.grid_infeasible());
  record.add("grid_spread", where(report.grid_runs > 0, report.grid_spread()));
}

}  // namespace soapbox::runner
