#include "sim/simulate/evaluator.h"

#include <utility>

#include "sim/base/str.h"

namespace soapbox {

std::string to_string(SimulationMode mode) {
  return mode == SimulationMode::kFull ? "full" : "delta";
}

Result<SimulationMode> parse_simulation_mode(std::string_view text) {
  if (text == "full") return SimulationMode::kFull;
  if (text == "delta") return SimulationMode::kDelta;
  const std::vector<std::string> known = {"delta", "full"};
  return bad_input(unknown_name("simulation mode", text, known));
}

Evaluator::Evaluator(const Problem& problem, SimulationMode mode)
    : problem_(problem), mode_(mode), simulation_(problem) {}

Duration Evaluator::reset(const Plan& plan) {
  SOAPBOX_CHECK(!pending_, "a proposal is pending");
  ++evaluations_;
  current_ = plan;
  current_cost_.time = simulation_.reset(plan);
  current_cost_.excess = simulation_.excess(plan);
  return current_cost_.time;
}

std::optional<Duration> Evaluator::evaluate(std::span<const ConfigChange> changes,
                                            std::optional<Duration> limit) {
  SOAPBOX_CHECK(!pending_, "a proposal is pending");
  ++evaluations_;
  undo_.clear();
  std::vector<OpId> changed;
  for (const ConfigChange& change : changes) {
    undo_.push_back({change.op, std::exchange(current_.ops[change.op], change.config)});
    changed.push_back(change.op);
  }
  pending_ = true;
  pending_cost_.reset();
  // What lacks less than the current plan is better at any time.
  const bool stops = limit && current_cost_.excess == Bytes();
  const std::optional<Duration> last = stops ? limit : std::nullopt;
  const std::optional<Duration> time = mode_ == SimulationMode::kDelta
                                           ? simulation_.propose(current_, changed, last)
                                           : simulation_.reset(current_);
  if (!time || (last && *time > *last)) return std::nullopt;
  const PlanCost cost{simulation_.excess(current_), *time};
  if (limit && cost > PlanCost{current_cost_.excess, *limit}) return std::nullopt;
  pending_cost_ = cost;
  return time;
}

Duration Evaluator::propose(std::span<const ConfigChange> changes) {
  return *evaluate(changes, std::nullopt);
}

std::optional<Duration> Evaluator::propose(std::span<const ConfigChange> changes, Duration limit) {
  return evaluate(changes, limit);
}

void Evaluator::accept() {
  SOAPBOX_CHECK(pending_ && pending_cost_, "no proposal to accept");
  pending_ = false;
  current_cost_ = *pending_cost_;
  simulation_.accept();
}

void Evaluator::reject() {
  SOAPBOX_CHECK(pending_, "no proposal to reject");
  pending_ = false;
  simulation_.reject();  // nothing to do after a reset
  // Newest first, so that an operator named twice gets its first configuration back.
  for (size_t i = undo_.size(); i-- > 0;) current_.ops[undo_[i].op] = std::move(undo_[i].config);
}

}  // namespace soapbox
