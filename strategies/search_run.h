// SearchRun: the evaluator as a searcher uses it, with the bookkeeping that all searchers share:
// the budget, the best plan, the best-so-far curve, the caller's progress and stop, CPU time.
#pragma once

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

  // As the evaluator's, each counting one evaluation; reset and accept record the new current plan
  // if it is the best so far. REQUIRES: !finished() before reset and propose.
  Duration reset(const Plan& plan);
  Duration propose(std::span<const ConfigChange> changes);
  void accept();
  void reject();

  // `reason` is why the searcher ended by itself. REQUIRES: at least one evaluation.
  SearchOutcome outcome(std::string reason) const;

 private:
  void end_evaluation();

  const SearchRequest& request_;
  Evaluator evaluator_;
  double cpu_start_s_;
  bool stopped_ = false;
  SearchOutcome best_;
};

}  // namespace soapbox::strategies
