// How good a planner's choice is among all plans, by simulating them: the oracle gap, the rank
// correlation of the analytic objective with the simulation, and what becomes of plans made by
// hand.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "scenarios/runner/record.h"
#include "sim/parallel/simulate_parallel.h"
#include "strategies/uniap/layer_costs.h"
#include "strategies/uniap/transformer_costs.h"
#include "strategies/uniap/unified.h"

namespace soapbox::runner {

struct OracleSpec {
  uint64_t samples = 0;  // drawn besides the grid and the neighbours of the choice
  uint64_t seed = 0;
};

// `layers` price the candidates, which are those of strategies/uniap/candidates.h. Every one is
// simulated, whether or not the tables say that it fits; those before `stop` says so, if it does.
struct OracleReport {
  size_t grid = 0;         // plans made by hand
  size_t grid_tables = 0;  // of them, those that fit by the tables
  size_t grid_runs = 0;    // and those that run in the simulator
  double grid_best_s = 0;  // of those that run; 0 where none does
  double grid_worst_s = 0;
  size_t candidates = 0;  // grid, samples and neighbours
  size_t runs = 0;
  size_t disagreements = 0;  // fit by the tables and do not run, or the other way round
  double best_s = 0;         // simulated, of all that run; 0 where none does
  std::string best_plan;     // its degree and number of micro-batches
  // Analytic against simulated time of all that run; nothing where fewer than two do.
  std::optional<double> spearman;
  std::optional<double> kendall;
  double mean_error = 0;  // mean |analytic - simulated| / simulated

  double grid_infeasible() const;  // share of the grid that does not run
  double grid_spread() const;      // slowest over fastest
};

OracleReport planner_oracle(const ParallelProblem& problem,
                            const strategies::uniap::LayerCosts& layers,
                            const strategies::uniap::TransformerCostsOptions& costs,
                            const strategies::uniap::TableOptions& tables, int64_t global_batch,
                            const strategies::uniap::UnifiedOutcome& chosen, const OracleSpec& spec,
                            const std::function<bool()>& stop = {});

// Fields "oracle_*" and "grid_*"; `chosen_s` is the simulated time of the planner's plan.
void add_oracle(Record& record, const OracleReport& report, std::optional<double> chosen_s);

}  // namespace soapbox::runner
