// SearchRun: the evaluator as a searcher uses it, with the bookkeeping that all searchers share:
// the budget, the best plan, the best-so-far curve, the caller's progress and stop, CPU time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/simulate/evaluator.h"
#include "strategies/searcher.h"

namespace soapbox::strategies {

// CPU seconds of the calling thread.
double thread_cpu_s();

// Which of the optional settings a searcher has; others must be left at their defaults.
struct SettingsUsed {
  bool beta = false;
  bool proposals = false;
  bool starts = false;
};

// Refuses an empty budget, and settings that are unknown, out of range or not the searcher's.
Status check_request(std::string_view searcher, const SearchRequest& request, SettingsUsed used);

class SearchRun {
 public:
  explicit SearchRun(const SearchRequest& request);

  // The budget is used or the caller asked to stop: nothing may be evaluated any more.
  bool finished() const { return stopped_ || evaluations() >= request_.budget.evaluations; }
  uint64_t evaluations() const { return evaluator_.evaluations(); }
  const Plan& current() const { return evaluator_.current(); }
  Duration current_time() const { return evaluator_.current_time(); }
  const PlanCost& current_cost() const { return evaluator_.current_cost(); }

  // Each counts one evaluation, after which the current plan is recorded if it is the best so far.
  // REQUIRES: !finished().
  void reset(const Plan& plan);
  // Moves to the current plan with these changes, if that exceeds no memory by more than the
  // current plan does, and takes at most `limit` where it exceeds it by as much; else stays.
  void step(std::span<const ConfigChange> changes, Duration limit);
  // The same, unconditionally.
  void move(std::span<const ConfigChange> changes);

  // `reason` is why the searcher ended by itself. Error: no plan fitted. REQUIRES: at least one
  // evaluation.
  Result<SearchOutcome> outcome(std::string reason) const;

 private:
  void end_evaluation();

  const SearchRequest& request_;
  Evaluator evaluator_;
  double cpu_start_s_;
  bool stopped_ = false;
  SearchOutcome best_;
  Plan nearest_;  // to fit, while none has
  PlanCost nearest_cost_;
};

}  // namespace soapbox::strategies
