// A planned assignment as a plan that the simulator takes.
#pragma once

#include "sim/plan/parallel_plan.h"
#include "strategies/uniap/transformer_costs.h"
#include "strategies/uniap/unified.h"

namespace soapbox::strategies::uniap {

ParallelPlan to_parallel_plan(const UnifiedPlan& plan, const TransformerCostsOptions& costs,
                              const TableOptions& tables, int64_t global_batch);

}  // namespace soapbox::strategies::uniap
