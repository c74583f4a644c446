#include "sim/parallel/stage_costs.h"

#include <algorithm>
#include <map>

namespace soapbox {
namespace {

Duration collective(const ParallelProblem& problem, CollectiveOp op, int64_t bytes,
                    const GroupShape& shape) {
  return exchange_time(problem.groups, problem.factors, op, static_cast<double>(bytes), shape);
}

// Layers that are alike under the same strategy cost the same: of 126 equal blocks, one is priced.
class Prices {
 public:
  Prices(const ParallelProblem& problem, const ParallelPlan& plan, int64_t devices_per_node)
      : problem_(problem), plan_(plan), devices_per_node_(devices_per_node) {}

  void price_all(StageCosts& costs) {
    const size_t layers = problem_.model.layers.size();
    costs.layers.resize(problem_.kernels.size());
    for (size_t layer = 0; layer < layers; ++layer) {
      const size_t twin = first_twin(layer);
      if (twin < layer) {
        costs.work.push_back(costs.work[twin]);
        for (auto& by_layer : costs.layers) by_layer.push_back(by_layer[twin]);
        continue;
      }
      const LayerStrategy& strategy = plan_.strategy(layer);
      costs.work.push_back(make_layer_work(problem_.model.layers[layer], strategy, plan_));
      for (size_t h = 0; h < problem_.kernels.size(); ++h) {
        const LayerPricing pricing{problem_.kernels[HardwareId(static_cast<uint32_t>(h))],
                                   problem_.groups, problem_.factors, devices_per_node_,
                                   splits_backward(plan_.schedule)};
        costs.layers[h].push_back(price_layer(costs.work.back(), strategy, plan_, pricing));
      }
    }
  }

 private:
  size_t first_twin(size_t layer) {
    for (const size_t other : distinct_) {
      if (problem_.model.layers[other] == problem_.model.layers[layer] &&
          plan_.strategy(other) == plan_.strategy(layer)) {
        return other;
      }
    }
    distinct_.push_back(layer);
    return layer;
  }

  const ParallelProblem& problem_;
  const ParallelPlan& plan_;
  int64_t devices_per_node_;
  std::vector<size_t> distinct_;
};

Reshard reshard_between(const StageCosts& costs, size_t layer) {
  const LayerStrategy& from = costs.plan.strategy(layer - 1);
  const LayerStrategy& to = costs.plan.strategy(layer);
  const int32_t before = from.data_parallel * from.context_parallel;
  const int32_t after = to.data_parallel * to.context_parallel;
  if (before == after) return {};
  const bool narrows = after < before;
  const LayerStrategy& wide = narrows ? from : to;
  const int64_t parts = std::max(1, narrows ? before / after : after / before);
  const int64_t whole = costs.work[narrows ? layer : layer - 1].output_bytes;
  const Duration gather =
      collective(costs.problem, CollectiveOp::kAllGather, whole,
                 strided_group(parts, wide.tensor_parallel, costs.devices_per_node));
  return narrows ? Reshard{gather, Duration()} : Reshard{Duration(), gather};
}

// From one position to the next: the hidden vectors of this rank, cut over the tensor ranks, which
// gather them again on the other side (Narayanan et al. 2021, section 4.1).
Duration send_time(const StageCosts& costs, int32_t position, int32_t from, int32_t to) {
  if (from == to) return {};
  const size_t layer = costs.last_layer(position) - 1;
  const LayerStrategy& strategy = costs.plan.strategy(layer);
  const int64_t bytes = costs.work[layer].output_bytes;
  const RankLayout layout = costs.layout(layer);
  const bool cut = strategy.tensor_parallel > 1 && !strategy.sequence_parallel;
  const int64_t part = cut ? bytes / strategy.tensor_parallel : bytes;
  Duration time = collective(costs.problem, CollectiveOp::kSendRecv, part,
                             stage_pair(from, to, layout.rank_count(), costs.devices_per_node));
  if (cut) {
    time += collective(costs.problem, CollectiveOp::kAllGather, bytes,
                       layout.shape(RankGroup::kTensor));
  }
  return time;
}

// Parameters of a stage that one rank updates.
double updated_parameters(const StageCosts& costs, int32_t stage, const PipelineShape& shape) {
  double count = 0;
  for (int32_t chunk = 0; chunk < costs.plan.chunks_per_stage; ++chunk) {
    const int32_t position = shape.position(stage, chunk);
    for (size_t l = costs.first_layer(position); l < costs.last_layer(position); ++l) {
      const LayerStrategy& strategy = costs.plan.strategy(l);
      const RankLayout layout = costs.layout(l);
      const bool sharded = strategy.zero_stage >= 1;
      count +=
          static_cast<double>(costs.dense_parameters(l)) / (sharded ? layout.shard_count() : 1);
      count += static_cast<double>(costs.work[l].expert_parameters) /
               (sharded ? layout.expert_replicas() : 1);
    }
  }
  return count;
}

PipelineShape positions_of(const ParallelPlan& plan) {
  PipelineShape shape;
  shape.schedule = plan.schedule;
  shape.stages = plan.pipeline_parallel;
  shape.chunks_per_stage = plan.chunks_per_stage;
  shape.microbatches = static_cast<int32_t>(plan.microbatches);
  shape.overlap_sends = plan.overlap_sends;
  return shape;
}

// The stage of the last layer is not that of the first one.
bool ends_apart(const ParallelPlan& plan) {
  return positions_of(plan).stage_of(plan.stage_count() - 1) != 0;
}

Duration tied_time(const StageCosts& costs) {
  const LayerWork& head = costs.work.back();
  if (head.tied_parameters == 0 || !ends_apart(costs.plan)) return {};
  const int64_t bytes = head.tied_parameters * size_bytes(costs.plan.precision.gradients);
  const int64_t ranks = costs.layout(costs.work.size() - 1).rank_count();
  return collective(costs.problem, CollectiveOp::kAllReduce, bytes,
                    stage_pair(0, costs.plan.pipeline_parallel - 1, ranks, costs.devices_per_node));
}

}  // namespace

Kernel optimizer_kernel(const Precision& precision, double parameters) {
  Kernel kernel;
  kernel.kind = KernelKind::kOptimizer;
  kernel.type = DataType::kFp32;
  const bool master = precision.parameters != DataType::kFp32;
  kernel.bytes = parameters * static_cast<double>(size_bytes(precision.gradients) + 6 * 4 +
                                                  (master ? size_bytes(precision.parameters) : 0));
  return kernel;
}

StageCosts::StageCosts(const ParallelProblem& problem_in, const ParallelPlan& plan_in)
    : problem(problem_in), plan(plan_in) {
  devices_per_node = problem.groups.fabric().devices_per_node;
  Prices(problem, plan, devices_per_node).price_all(*this);
  reshard.resize(work.size());
  for (size_t layer = 1; layer < work.size(); ++layer) {
    reshard[layer] = reshard_between(*this, layer);
  }
  const PipelineShape shape = positions_of(plan);
  for (int32_t position = 0; position + 1 < plan.stage_count(); ++position) {
    send.push_back(
        send_time(*this, position, shape.stage_of(position), shape.stage_of(position + 1)));
  }
  for (int32_t stage = 0; stage < plan.pipeline_parallel; ++stage) {
    const Kernel kernel = optimizer_kernel(plan.precision, updated_parameters(*this, stage, shape));
    optimizer.push_back(
        scaled(problem.kernels[HardwareId(0)].time(kernel).time, problem.factors.compute));
  }
  tied_embeddings = tied_time(*this);
}

int64_t StageCosts::dense_parameters(size_t layer) const {
  const bool copied = layer + 1 == work.size() && ends_apart(plan);
  return work[layer].dense_parameters + (copied ? work[layer].tied_parameters : 0);
}

size_t StageCosts::first_layer(int32_t position) const {
  return static_cast<size_t>(plan.chunk_begin[static_cast<size_t>(position)]);
}

size_t StageCosts::last_layer(int32_t position) const {
  const auto next = static_cast<size_t>(position) + 1;
  return next < plan.chunk_begin.size() ? static_cast<size_t>(plan.chunk_begin[next]) : work.size();
}

PipelineShape StageCosts::pipeline() const {
  PipelineShape shape = positions_of(plan);
  double share = 0;
  for (int32_t position = 0; position < plan.stage_count(); ++position) {
    Duration forward;
    Duration backward;
    Duration weight;
    double kept = 0;
    double weight_kept = 0;
    for (size_t l = first_layer(position); l < last_layer(position); ++l) {
      const LayerCost& cost = layer(HardwareId(0), l);
      forward += cost.forward.total();
      backward += cost.backward.total();
      weight += cost.weight.total();
      kept += static_cast<double>(work[l].kept_bytes);
      weight_kept += static_cast<double>(work[l].weight_kept_bytes);
    }
    if (kept > 0) share = std::max(share, weight_kept / kept);
    shape.forward.push_back(forward);
    shape.backward.push_back(backward);
    shape.weight.push_back(weight);
  }
  if (!send.empty()) shape.transfer = *std::max_element(send.begin(), send.end());
  shape.weight_share = share;
  return shape;
}

}  // namespace soapbox
