// Evaluator: all that a searcher sees of the simulator. It holds a current plan, evaluates changes
// of it, and counts every simulation against the budget.
//
// Plans that do not fit the memory come after all that fit, in the order of what the fullest device
// lacks, then of time: the order of Deb (An efficient constraint handling method for genetic
// algorithms, 2000), by which a search that starts where nothing fits works its way to what does.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/plan/plan.h"
#include "sim/simulate/delta.h"
#include "sim/simulate/simulate.h"

namespace soapbox {

struct ConfigChange {
  OpId op;
  OpConfig config;
};

// What plans are compared by.
struct PlanCost {
  Bytes excess;  // of the fullest device over its memory; zero if the plan fits
  Duration time;
  friend auto operator<=>(const PlanCost&, const PlanCost&) = default;
};

// How a change is evaluated; the results are the same to the picosecond.
//   kFull   lower and simulate the whole plan again (FlexFlow's full simulation)
//   kDelta  lower again only what changed, and simulate only until the limit is certainly exceeded
enum class SimulationMode : uint8_t { kFull, kDelta };
std::string to_string(SimulationMode mode);
Result<SimulationMode> parse_simulation_mode(std::string_view text);

class Evaluator {
 public:
  explicit Evaluator(const Problem& problem, SimulationMode mode = SimulationMode::kDelta);

  // Makes `plan` the current plan and returns its iteration time. Counts one evaluation.
  // REQUIRES: check_plan() accepts it.
  Duration reset(const Plan& plan);
  // The iteration time of the current plan with these operators changed. Counts one evaluation. The
  // change is pending until accept() or reject(); at most one is pending.
  Duration propose(std::span<const ConfigChange> changes);
  // The same, or nothing if the cost is above the current excess with this time: a simulation may
  // stop as soon as that is certain. After nothing only reject() may follow.
  std::optional<Duration> propose(std::span<const ConfigChange> changes, Duration limit);
  void accept();
  void reject();

  const Problem& problem() const { return problem_; }
  // With a proposal pending, the proposed plan.
  const Plan& current() const { return current_; }
  Duration current_time() const { return current_cost_.time; }
  const PlanCost& current_cost() const { return current_cost_; }
  uint64_t evaluations() const { return evaluations_; }

 private:
  std::optional<Duration> evaluate(std::span<const ConfigChange> changes,
                                   std::optional<Duration> limit);

  Problem problem_;
  SimulationMode mode_;
  DeltaSimulation simulation_;
  Plan current_;
  PlanCost current_cost_;
  std::vector<ConfigChange> undo_;  // the old configurations of the pending change
  std::optional<PlanCost> pending_cost_;
  bool pending_ = false;
  uint64_t evaluations_ = 0;
};

}  // namespace soapbox
