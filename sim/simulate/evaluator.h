// Evaluator: all that a searcher sees of the simulator. It holds a current plan, evaluates changes
// of it, and counts every simulation against the budget.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/engine.h"
#include "sim/plan/plan.h"
#include "sim/simulate/simulate.h"

namespace soapbox {

struct ConfigChange {
  OpId op;
  OpConfig config;
};

class Evaluator {
 public:
  explicit Evaluator(const Problem& problem);

  // Makes `plan` the current plan and returns its iteration time. Counts one evaluation.
  // REQUIRES: check_plan() accepts it.
  Duration reset(const Plan& plan);
  // The iteration time of the current plan with these operators changed. Counts one evaluation. The
  // change is pending until accept() or reject(); at most one is pending.
  Duration propose(std::span<const ConfigChange> changes);
  void accept();
  void reject();

  const Problem& problem() const { return problem_; }
  // With a proposal pending, the proposed plan.
  const Plan& current() const { return current_; }
  Duration current_time() const { return current_time_; }
  uint64_t evaluations() const { return evaluations_; }

 private:
  Duration evaluate();

  Problem problem_;
  FifoEngine engine_;
  Timeline timeline_;
  Plan current_;
  Duration current_time_;
  std::vector<ConfigChange> undo_;  // the old configurations of the pending change
  Duration pending_time_;
  bool pending_ = false;
  uint64_t evaluations_ = 0;
};

}  // namespace soapbox
