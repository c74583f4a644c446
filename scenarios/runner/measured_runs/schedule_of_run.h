// The pipeline schedule of a measured run, and where its stages are cut.
#pragma once

#include "scenarios/runner/measured_runs/assumptions.h"
#include "scenarios/runner/measured_runs/measured_run.h"
#include "sim/base/result.h"
#include "sim/plan/parallel_plan.h"

namespace soapbox::runner {

// Sets the schedule, its chunks and their first layers.
// REQUIRES: the plan's pipeline_parallel is set.
// Error: more chunks than layers.
Status set_schedule(const MeasuredRun& run, const Transformer& model, ParallelPlan& plan,
                    Assumptions& assumptions);

}  // namespace soapbox::runner
