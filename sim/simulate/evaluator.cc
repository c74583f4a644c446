#include "sim/simulate/evaluator.h"

#include <utility>

namespace soapbox {

Evaluator::Evaluator(const Problem& problem) : problem_(problem) {}

Duration Evaluator::evaluate() {
  ++evaluations_;
  const Lowered lowered = lower(problem_.model, problem_.cluster, problem_.costs, current_);
  engine_.run(lowered.graph, timeline_);
  return timeline_.makespan - SimTime() + lowered.serial_sync;
}

Duration Evaluator::reset(const Plan& plan) {
  SOAPBOX_CHECK(!pending_, "a proposal is pending");
  current_ = plan;
  current_time_ = evaluate();
  return current_time_;
}

Duration Evaluator::propose(std::span<const ConfigChange> changes) {
  SOAPBOX_CHECK(!pending_, "a proposal is pending");
  undo_.clear();
  for (const ConfigChange& change : changes) {
    undo_.push_back({change.op, std::exchange(current_.ops[change.op], change.config)});
  }
  pending_ = true;
  pending_time_ = evaluate();
  return pending_time_;
}

void Evaluator::accept() {
  SOAPBOX_CHECK(pending_, "no proposal to accept");
  pending_ = false;
  current_time_ = pending_time_;
}

void Evaluator::reject() {
  SOAPBOX_CHECK(pending_, "no proposal to reject");
  pending_ = false;
  // Newest first, so that an operator named twice gets its first configuration back.
  for (size_t i = undo_.size(); i-- > 0;) current_.ops[undo_[i].op] = std::move(undo_[i].config);
}

}  // namespace soapbox
