// A planned assignment as a plan that the simulator takes.
#pragma once

#include "sim/plan/parallel_plan.h"
#include "strategies/uniap/build_tables.h"
#include "strategies/uniap/transformer_costs.h"

namespace soapbox::strategies::uniap {

// REQUIRES: strategies that the tables allow.
ParallelPlan to_parallel_plan(const CostTables& tables, const Assignment& assignment,
                              const TransformerCostsOptions& costs, const TableOptions& options,
                              int64_t global_batch);

}  // namespace soapbox::strategies::uniap
