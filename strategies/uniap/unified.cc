#include "strategies/uniap/unified.h"

#include <algorithm>
#include <ctime>

#include "sim/base/check.h"
#include "sim/base/divisors.h"
#include "sim/base/str.h"

namespace soapbox::strategies::uniap {
namespace {

double thread_cpu_s() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class Search {
 public:
  explicit Search(const UnifiedRequest& request) : request_(request) {}
  UnifiedOutcome run();

 private:
  void try_cell(int32_t stages, int64_t microbatches);
  void plan_cell(CostTables tables, Cell& cell);
  void refuse(const Shortage& short_of, Cell& cell);
  void explain(const CellAnswer& answer, Cell& cell);
  void finish();

  const UnifiedRequest& request_;
  UnifiedOutcome outcome_;
  std::optional<double> proof_of_best_s_;  // where the last cell has the best plan
  std::optional<Bytes> least_excess_;      // of the cells without a solution
};

// Nothing fits: proven without a planner.
void Search::refuse(const Shortage& short_of, Cell& cell) {
  cell.failure = Failure::kNoSolution;
  cell.proven = true;
  cell.reason = str_cat(cell_name(cell.stages, cell.microbatches), ": ", short_of.to_string());
  const Bytes excess = short_of.needed - short_of.limit;
  const bool nearer = !least_excess_ || (!short_of.not_splittable && excess < *least_excess_);
  if (outcome_.failure != Failure::kMissed && outcome_.failure != Failure::kGaveUp && nearer) {
    if (!short_of.not_splittable) least_excess_ = excess;
    outcome_.failure = cell.failure;
    outcome_.infeasible_reason = cell.reason;
  }
}

// Sorts out why a planner came back without a plan although one fits.
void Search::explain(const CellAnswer& answer, Cell& cell) {
  cell.reason = answer.reason;
  if (answer.proven) {
    cell.failure = Failure::kCutOff;
    return;
  }
  cell.failure = answer.bound_s > 0 ? Failure::kGaveUp : Failure::kMissed;
  outcome_.failure = cell.failure;
  outcome_.infeasible_reason =
      str_cat(cell_name(cell.stages, cell.microbatches), ": a plan exists, but ", cell.reason);
}

void Search::plan_cell(CostTables tables, Cell& cell) {
  const double cutoff_s = outcome_.best ? outcome_.best->objective.total_s : kNoCutoff;
  const CellAnswer answer = request_.planner.plan(
      tables, {.cutoff_s = cutoff_s, .cpu_s = request_.cpu_limit_s, .stop = request_.stop});
  cell.bound_s = answer.bound_s;
  cell.proven = answer.proven;
  outcome_.labels += answer.labels;
  if (outcome_.solver.empty()) outcome_.solver = answer.solver;
  if (!answer.assignment) return explain(answer, cell);
  std::optional<Objective> value = evaluate(tables, *answer.assignment);
  SOAPBOX_CHECK(value.has_value(), "a planner's plan does not fit");
  if (request_.value != nullptr) value->total_s = request_.value(tables, *answer.assignment);
  cell.objective_s = value->total_s;
  if (value->total_s < cutoff_s) {
    outcome_.best = UnifiedPlan{std::move(tables), *answer.assignment, *std::move(value)};
    proof_of_best_s_ = answer.proof_cpu_s;
  }
}

void Search::try_cell(int32_t stages, int64_t microbatches) {
  const double start_s = thread_cpu_s();
  CostTables tables =
      build_tables(request_.costs, request_.options, stages, microbatches, request_.global_batch);
  const double built_s = thread_cpu_s();
  Cell cell{.stages = stages, .microbatches = microbatches, .reason = {}};
  if (const std::optional<Shortage> short_of = shortage(tables)) {
    refuse(*short_of, cell);
  } else {
    plan_cell(std::move(tables), cell);
  }
  outcome_.cells.push_back(std::move(cell));
  outcome_.table_cpu_s += built_s - start_s;
  const double planned_s = thread_cpu_s() - built_s;
  outcome_.search_cpu_s += planned_s;
  // A better plan makes all proofs so far part of the search for it.
  outcome_.proof_cpu_s = proof_of_best_s_ ? *proof_of_best_s_ : outcome_.proof_cpu_s + planned_s;
  proof_of_best_s_.reset();
}

void Search::finish() {
  if (outcome_.best) {
    outcome_.failure = Failure::kNone;
    outcome_.infeasible_reason.clear();
  }
  outcome_.proven = !outcome_.cells.empty();
  double bound_s = outcome_.best ? outcome_.best->objective.total_s : kNoCutoff;
  for (const Cell& cell : outcome_.cells) {
    outcome_.proven = outcome_.proven && cell.proven;
    const bool closed = cell.failure == Failure::kNoSolution || cell.failure == Failure::kCutOff;
    if (!closed) bound_s = std::min(bound_s, cell.bound_s);
  }
  if (outcome_.interrupted) {
    // Of the cells that were not tried nothing is known.
    outcome_.proven = false;
    bound_s = 0;
    if (!outcome_.best) outcome_.infeasible_reason = "interrupted before there was a plan";
  }
  outcome_.bound_s = bound_s == kNoCutoff ? 0 : bound_s;
  if (outcome_.cells.empty()) {
    outcome_.failure = Failure::kNoSolution;
    outcome_.infeasible_reason = "no pipeline degree and number of micro-batches to try";
  }
}

UnifiedOutcome Search::run() {
  for (const CellSize& cell : cell_sizes(request_)) {
    try_cell(cell.stages, cell.microbatches);
    outcome_.interrupted = request_.stop && request_.stop();
    if (outcome_.interrupted) break;
  }
  finish();
  return std::move(outcome_);
}

}  // namespace

double UnifiedOutcome::gap() const {
  // Proven: the bound differs by the rounding of times to integers alone.
  if (proven || !best || best->objective.total_s <= 0) return 0;
  return std::max(0.0, (best->objective.total_s - bound_s) / best->objective.total_s);
}

std::string to_string(Failure failure) {
  switch (failure) {
    case Failure::kNone:
      return "none";
    case Failure::kNoSolution:
      return "no solution";
    case Failure::kGaveUp:
      return "gave up";
    case Failure::kMissed:
      return "missed";
    case Failure::kCutOff:
      return "cut off";
  }
  return "?";
}

std::string cell_name(int32_t stages, int64_t microbatches) {
  return str_cat("pp ", stages, ", ", microbatches, " micro-batches");
}

std::vector<CellSize> cell_sizes(const UnifiedRequest& request) {
  std::vector<CellSize> cells;
  const int32_t devices = request.costs.device_count();
  for (const int64_t pp : divisors(devices)) {
    const auto stages = static_cast<int32_t>(pp);
    if (request.stages && stages != *request.stages) continue;
    if (!request.planner.considers(stages, devices)) continue;
    for (const int64_t c : divisors(request.global_batch)) {
      if (request.microbatches && c != *request.microbatches) continue;
      cells.push_back({stages, c});
    }
  }
  return cells;
}

UnifiedOutcome unified_search(const UnifiedRequest& request) {
  return Search(request).run();
}

}  // namespace soapbox::strategies::uniap
