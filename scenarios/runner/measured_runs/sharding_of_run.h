// How a measured run shards its states over data ranks.
#pragma once

#include "scenarios/runner/measured_runs/assumptions.h"
#include "scenarios/runner/measured_runs/measured_run.h"
#include "sim/model/transformer.h"
#include "sim/plan/parallel_plan.h"

namespace soapbox::runner {

// Sets stage and shard group.
// REQUIRES: the strategy's degrees are set.
void set_sharding(const MeasuredRun& run, const Transformer& model, int64_t gpus_per_node,
                  LayerStrategy& strategy, Assumptions& assumptions);

// Whether it is DeepSpeed's ZeRO: stages without a word on whose.
bool is_deepspeed(const MeasuredRun& run);

}  // namespace soapbox::runner
