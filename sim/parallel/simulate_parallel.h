// The front door for Transformer plans: model x cluster x costs x plan -> outcome. A pure function.
#pragma once

#include <vector>

#include "sim/engine/engine.h"
#include "sim/parallel/parallel_lower.h"
#include "sim/parallel/parallel_memory.h"
#include "sim/parallel/stage_costs.h"
#include "sim/simulate/outcome.h"

namespace soapbox {

struct ParallelOptions {
  bool fold = true;          // where all ranks of a stage are equivalent; same results
  bool check_memory = true;  // a plan that does not fit is infeasible; else it is run regardless
};

struct ParallelRun {
  ParallelLowered lowered;
  Timeline timeline;
  std::vector<StageMemory> memory;  // by stage
  Outcome outcome;
};

// The time of an iteration is the makespan; with a zero-bubble schedule it is the longest that a
// stage takes, since the stages of consecutive iterations follow each other (pass_order.h).
// REQUIRES: check_parallel_plan() accepts the plan for the cluster's devices.
ParallelRun simulate_parallel(const ParallelProblem& problem, const ParallelPlan& plan,
                              const ParallelOptions& options = {});

}  // namespace soapbox
