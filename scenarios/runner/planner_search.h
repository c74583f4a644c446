// soapbox search with a planner of strategies/uniap: a Transformer, a cluster and a global batch to
// the best pipeline and layer strategies.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "results/table.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/options.h"
#include "scenarios/runner/planner_oracle.h"
#include "sim/base/result.h"
#include "sim/cluster/cluster.h"
#include "sim/model/transformer.h"
#include "sim/parallel/simulate_parallel.h"
#include "strategies/uniap/transformer_costs.h"
#include "strategies/uniap/unified.h"

namespace soapbox::runner {

struct PlannerSearchSpec {
  std::string method;
  std::string model;
  std::string cluster;
  std::optional<int64_t> devices;
  int64_t global_batch = 1;
  std::optional<int32_t> stages;
  std::optional<int64_t> microbatches;
  strategies::uniap::TransformerCostsOptions costs;
  strategies::uniap::TableOptions tables;
  RunFactors factors;
  double cpu_limit_s = 60;
  std::optional<OracleSpec> oracle;  // asked for
  bool own_cost_model = false;       // the planner's publication's, where it has one
  // A folder of Galvatron's profiles, which then make the tables; empty: the simulator's costs do.
  std::string galvatron_profiles;
};

// The options that planners alone have.
std::vector<Option> planner_options();
// Refuses options that are not for planners.
Result<PlannerSearchSpec> read_planner_options(const Arguments& arguments);

struct PlannerSearchOutcome {
  Transformer model;
  Cluster cluster;
  strategies::uniap::UnifiedOutcome unified = {};
  std::optional<ParallelPlan> plan = {};  // the best, and what its simulation says
  std::optional<Outcome> simulated = {};
  std::optional<OracleReport> oracle = {};
  const Report* report() const;  // null where there is no plan or it does not run
};
Result<PlannerSearchOutcome> planner_search(const PlannerSearchSpec& spec);

// The whole command.
Result<CommandResult> run_planner_search(const Arguments& arguments, const Console& console);

}  // namespace soapbox::runner
