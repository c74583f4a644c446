// A planner's search as a row of the database: `plan` is the whole record as JSON, of which the
// table `plannings` shows the figures.
#pragma once

#include <string>

#include "results/rows.h"
#include "scenarios/runner/planning/planner_search.h"

namespace soapbox::runner {

results::RunKey planner_run_key(const PlannerSearchSpec& spec, const PlannerProblem& loaded);
// `key` is that of the spec; wall_s what the search took.
results::RunRow planner_run_row(const PlannerSearchSpec& spec, results::RunKey key,
                                const PlannerSearchOutcome& outcome, double wall_s,
                                const std::string& command_line);

}  // namespace soapbox::runner
