// soapbox search with a planner of strategies/uniap: a Transformer, a cluster and a global batch to
// the best pipeline and layer strategies.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/rows.h"
#include "results/table.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/options.h"
#include "scenarios/runner/planning/planner_oracle.h"
#include "scenarios/runner/planning/planner_problem.h"
#include "scenarios/runner/planning/search_proof_file.h"
#include "sim/base/result.h"
#include "sim/parallel/simulate_parallel.h"
#include "strategies/uniap/transformer_costs.h"
#include "strategies/uniap/unified.h"

namespace soapbox::runner {

struct PlannerSearchSpec {
  std::string method;
  PlannerProblemSpec problem;
  int64_t global_batch = 1;
  std::optional<int32_t> stages;
  std::optional<int64_t> microbatches;
  strategies::uniap::TableOptions tables;
  double cpu_limit_s = 60;
  std::optional<OracleSpec> oracle;  // asked for
  bool own_cost_model = false;       // the planner's publication's, where it has one
  ProofOptions proof;
};

// The options that planners alone have.
std::vector<Option> planner_options();
// Refuses options that are not for planners.
Result<PlannerSearchSpec> read_planner_options(const Arguments& arguments);

// What UniAP's evaluation used: fp32 for encoders, 16 bits for decoder-only models, whose attention
// is fused. Error: not a Transformer's name.
Result<strategies::uniap::TransformerCostsOptions> published_precision(const std::string& model);

struct PlannerSearchOutcome {
  std::shared_ptr<const PlannerProblem> loaded;
  strategies::uniap::UnifiedOutcome unified = {};
  std::optional<ParallelPlan> plan = {};  // the best, and what its simulation says
  std::optional<Outcome> simulated = {};
  std::optional<OracleReport> oracle = {};
  SearchProof proof = {};
  // Of a check: what it says; there is no search then.
  std::optional<strategies::uniap::SearchProofReport> checked = {};
  bool interrupted = false;      // the best so far; neither proof nor oracle
  const Report* report() const;  // null where there is no plan or it does not run
};
// `stop` is asked now and then: true ends the search (Ctrl-C).
Result<PlannerSearchOutcome> planner_search(const PlannerSearchSpec& spec,
                                            const std::function<bool()>& stop = {});
// The same on a problem that is loaded.
Result<PlannerSearchOutcome> planner_search(const PlannerSearchSpec& spec,
                                            std::shared_ptr<const PlannerProblem> loaded,
                                            const std::function<bool()>& stop = {});
// Everything of it as one row; JSON has the layers besides.
std::string planner_record(const PlannerSearchSpec& spec, const PlannerSearchOutcome& outcome,
                           results::Format format);
// Why there is no plan that runs.
std::string planner_failure(const PlannerSearchOutcome& outcome);

// The whole command, and what it would store: a check stores nothing.
struct PlannerCommandResult {
  CommandResult result;
  std::optional<results::RunRow> row;
};
Result<PlannerCommandResult> run_planner_search(const Arguments& arguments, const Console& console);

}  // namespace soapbox::runner
