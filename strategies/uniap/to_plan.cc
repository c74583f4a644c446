#include "strategies/uniap/to_plan.h"

#include <algorithm>

namespace soapbox::strategies::uniap {

ParallelPlan to_parallel_plan(const CostTables& tables, const Assignment& assignment,
                              const TransformerCostsOptions& costs, const TableOptions& options,
                              int64_t global_batch) {
  ParallelPlan plan;
  plan.pipeline_parallel = tables.stages;
  const bool alternating = options.memory == PipelineMemory::k1F1B || tables.stages == 1;
  plan.schedule = alternating ? PipelineSchedule::k1F1B : PipelineSchedule::kGPipe;
  plan.microbatches = tables.microbatches;
  plan.precision = costs.precision;
  plan.flash_attention = costs.flash_attention;
  plan.overlap_gradients = options.overlap == Overlap::kSlowed;
  plan.overlap_parameters = options.gathers == Gathers::kPrefetched;
  plan.chunk_begin.clear();
  for (const size_t first : assignment.stage_begin) {
    plan.chunk_begin.push_back(static_cast<int32_t>(first));
  }
  // Only strategies in use: the samples may be too few for others.
  plan.strategies.clear();
  for (const size_t k : assignment.strategy) {
    const LayerStrategy strategy = TransformerCosts::layer_strategy(tables.strategies[k]);
    const auto known = std::find(plan.strategies.begin(), plan.strategies.end(), strategy);
    plan.strategy_of_layer.push_back(static_cast<uint16_t>(known - plan.strategies.begin()));
    if (known == plan.strategies.end()) plan.strategies.push_back(strategy);
  }
  plan.microbatch = global_batch / tables.microbatches / plan.strategies.front().data_parallel;
  return plan;
}

}  // namespace soapbox::strategies::uniap
