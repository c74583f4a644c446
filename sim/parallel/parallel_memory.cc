#include "sim/parallel/parallel_memory.h"

#include <algorithm>
#include <cmath>

#include "sim/base/str.h"

namespace soapbox {
namespace {

constexpr double kWorkspace = kWorkspaces.as_double();

// Of one layer, on one of its ranks.
StateBytes states_of(const StageCosts& costs, size_t layer) {
  const LayerStrategy& strategy = costs.plan.strategy(layer);
  const RankLayout layout = costs.layout(layer);
  const auto of = [&](int64_t count, int32_t shards) {
    return state_bytes(costs.plan.precision, strategy.zero_stage, static_cast<double>(count),
                       shards);
  };
  StateBytes states = of(costs.dense_parameters(layer), layout.shard_count());
  states += of(costs.work[layer].expert_parameters, layout.expert_replicas());
  return states;
}

// Parameters and their gradients of two whole layers, where they are sharded. DeepSpeed gathers
// tensor by tensor and holds 10^9 parameters at most (stage3_max_live_parameters), or the largest
// tensor, a third of a block, whose gradient is whole until it is reduced.
double gathered_bytes(const StageCosts& costs, size_t layer) {
  if (costs.plan.strategy(layer).zero_stage != 3) return 0;
  const auto size = static_cast<double>(size_bytes(costs.plan.precision.parameters));
  const auto count =
      static_cast<double>(costs.dense_parameters(layer) + costs.work[layer].expert_parameters);
  if (costs.plan.gathers_per_layer == 1) return 2 * 2 * count * size;
  constexpr double kMostLive = 1e9;
  const double tensor = count / 3;
  return (std::max(std::min(2 * count, kMostLive), tensor) + tensor) * size;
}

Bytes whole(double bytes) {
  return Bytes(std::llround(bytes));
}

StageMemory stage_memory(const StageCosts& costs, const PassOrder& order, int32_t stage,
                         const PipelineShape& shape) {
  StageMemory memory;
  StateBytes total;
  double gathered = 0;
  std::vector<double> kept(static_cast<size_t>(shape.chunks_per_stage));
  std::vector<double> weight_kept(kept.size());
  std::vector<double> transient(kept.size());
  for (int32_t chunk = 0; chunk < shape.chunks_per_stage; ++chunk) {
    const int32_t position = shape.position(stage, chunk);
    const auto c = static_cast<size_t>(chunk);
    for (size_t l = costs.first_layer(position); l < costs.last_layer(position); ++l) {
      total += states_of(costs, l);
      gathered = std::max(gathered, gathered_bytes(costs, l));
      kept[c] += static_cast<double>(costs.work[l].kept_bytes);
      weight_kept[c] += static_cast<double>(costs.work[l].weight_kept_bytes);
      transient[c] = std::max(transient[c], static_cast<double>(costs.work[l].transient_bytes));
    }
  }
  if (!splits_backward(shape.schedule)) weight_kept.assign(kept.size(), 0);
  const double for_good = total.total() + gathered + kWorkspace;
  memory.at_start = whole(for_good);
  double held = 0;
  double peak_held = 0;
  double peak_transient = 0;
  for (const Pass& pass : order.stages[static_cast<size_t>(stage)]) {
    const auto c = static_cast<size_t>(pass.chunk);
    if (pass.kind == PassKind::kForward) held += kept[c];
    const double beside = pass.kind == PassKind::kBackward ? transient[c] : 0;
    if (held + beside > peak_held + peak_transient) {
      peak_held = held;
      peak_transient = beside;
    }
    if (pass.kind == PassKind::kBackward) held -= kept[c] - weight_kept[c];
    if (pass.kind == PassKind::kWeight) held -= weight_kept[c];
    memory.after_pass.push_back(whole(for_good + held));
  }
  memory.peak.parameters = whole(total.parameters);
  memory.peak.gradients = whole(total.gradients);
  memory.peak.optimizer = whole(total.optimizer);
  memory.peak.activations = whole(peak_held);
  memory.peak.buffers = whole(peak_transient + gathered + kWorkspace);
  return memory;
}

}  // namespace

StateBytes state_bytes(const Precision& precision, int32_t zero_stage, double count,
                       int32_t shards) {
  const auto share = [&](int32_t from_stage) {
    return zero_stage >= from_stage ? count / shards : count;
  };
  const double optimizer = precision.parameters == DataType::kFp32 ? 8 : 12;
  return {share(3) * static_cast<double>(size_bytes(precision.parameters)),
          share(2) * static_cast<double>(size_bytes(precision.gradients)), share(1) * optimizer};
}

std::vector<StageMemory> memory_of(const StageCosts& costs, const PassOrder& order) {
  std::vector<StageMemory> stages;
  const PipelineShape shape = costs.pipeline();
  for (int32_t stage = 0; stage < shape.stages; ++stage) {
    stages.push_back(stage_memory(costs, order, stage, shape));
  }
  return stages;
}

size_t fullest_stage(const std::vector<StageMemory>& stages) {
  size_t fullest = 0;
  for (size_t i = 1; i < stages.size(); ++i) {
    if (stages[i].peak.total() > stages[fullest].peak.total()) fullest = i;
  }
  return fullest;
}

std::optional<Infeasible> out_of_memory(const ParallelProblem& problem, const ParallelPlan& plan,
                                        const std::vector<StageMemory>& stages) {
  const size_t stage = fullest_stage(stages);
  const size_t per_stage =
      problem.cluster.device_count() / static_cast<size_t>(plan.pipeline_parallel);
  const DeviceId device = DeviceId::from_index(stage * per_stage);
  const Bytes available = problem.cluster.hardware_of(device).memory - problem.factors.reserved;
  const MemoryUse& peak = stages[stage].peak;
  if (peak.total() <= available) return std::nullopt;
  return Infeasible{Infeasible::Reason::kOutOfMemory, device,
                    str_cat(largest_component(peak), " of stage ", stage), peak.total(), available};
}

}  // namespace soapbox
