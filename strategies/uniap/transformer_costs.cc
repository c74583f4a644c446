#include "strategies/uniap/transformer_costs.h"

#include <algorithm>
#include <cmath>

#include "sim/base/str.h"
#include "sim/parallel/parallel_memory.h"

namespace soapbox::strategies::uniap {
namespace {

bool is_decoder_block(const TransformerLayer& layer) {
  return layer.kind == LayerKind::kBlock && layer.cross_len > 0;
}

bool is_hub_edge(const Edge& edge) {
  return edge.to > edge.from + 1;
}

double activation_bytes(const Precision& precision) {
  const bool wide = precision.compute == DataType::kFp32 || precision.compute == DataType::kTf32;
  return wide ? 4 : 2;
}

}  // namespace

TransformerCosts::TransformerCosts(const ParallelProblem& problem,
                                   const TransformerCostsOptions& options)
    : problem_(problem), options_(options) {
  const std::vector<TransformerLayer>& layers = problem.model.layers;
  for (size_t u = 0; u < layers.size(); ++u) {
    size_t same = 0;
    while (!(layers[same] == layers[u])) ++same;
    kind_of_layer_.push_back(same);
  }
}

LayerStrategy TransformerCosts::layer_strategy(const Strategy& strategy) {
  LayerStrategy layer;
  layer.tensor_parallel = strategy.tp;
  layer.data_parallel = strategy.dp;
  layer.zero_stage = strategy.fsdp ? 3 : 0;
  return layer;
}

std::vector<Edge> TransformerCosts::edges() const {
  const std::vector<TransformerLayer>& layers = problem_.model.layers;
  std::vector<Edge> edges;
  size_t encoder_end = 0;  // the last block before the first decoder block
  for (size_t u = 0; u < layers.size(); ++u) {
    if (u + 1 < layers.size()) edges.push_back({u, u + 1});
    if (is_decoder_block(layers[u])) {
      if (options_.cross_attention == CrossAttention::kHub && u > encoder_end + 1) {
        edges.push_back({encoder_end, u});
      }
    } else if (layers[u].kind == LayerKind::kBlock) {
      encoder_end = u;
    }
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return std::tie(a.from, a.to) < std::tie(b.from, b.to);
  });
  return edges;
}

double TransformerCosts::collective_s(CollectiveOp op, double bytes,
                                      const GroupShape& group) const {
  const Duration time = problem_.groups.time(op, Bytes(std::llround(bytes)), group).time;
  return time.seconds() * problem_.factors.exchange;
}

const TransformerCosts::RankCosts& TransformerCosts::rank_costs(size_t layer, const Strategy& s,
                                                                int64_t samples) const {
  const std::lock_guard<std::mutex> lock(knowing_);
  const auto [found, is_new] =
      known_.try_emplace({kind_of_layer_[layer], s.tp, s.dp, s.fsdp, samples / s.dp}, RankCosts());
  RankCosts& rank = found->second;
  if (!is_new) return rank;
  const LayerStrategy strategy = layer_strategy(s);
  ParallelPlan plan;
  plan.strategies = {strategy};
  plan.microbatch = samples / s.dp;
  plan.precision = options_.precision;
  plan.flash_attention = options_.flash_attention;
  rank.work = make_layer_work(problem_.model.layers[layer], strategy, plan);
  const LayerPricing pricing{problem_.kernels[HardwareId(0)], problem_.groups, problem_.factors,
                             devices_per_node(), false};
  rank.cost = price_layer(rank.work, strategy, plan, pricing);
  return rank;
}

bool TransformerCosts::allowed(size_t layer, const Strategy& strategy, int64_t samples) const {
  if (samples % strategy.dp != 0) return false;
  const TransformerLayer& l = problem_.model.layers[layer];
  return l.kind != LayerKind::kBlock || l.attention.heads == 0 ||
         l.attention.heads % strategy.tp == 0;
}

LayerSeconds TransformerCosts::seconds(size_t layer, const Strategy& s, int64_t samples,
                                       int32_t /*stages*/) const {
  const RankCosts& rank = rank_costs(layer, s, samples);
  const PassCost& forward = rank.cost.forward;
  const PassCost& backward = rank.cost.backward;
  LayerSeconds seconds{.forward = forward.compute().seconds(),
                       .backward = backward.compute().seconds(),
                       .tensor_forward = (forward.total() - forward.compute()).seconds(),
                       .tensor_backward = (backward.total() - backward.compute()).seconds(),
                       .gradient = rank.cost.data.reduce.seconds(),
                       .gradient_each_time = s.fsdp};
  if (s.fsdp) seconds.gather_forward = seconds.gather_backward = rank.cost.data.gather.seconds();
  const Kernel update = optimizer_kernel(
      options_.precision, static_cast<double>(rank.work.dense_parameters) / (s.fsdp ? s.dp : 1));
  seconds.update =
      problem_.kernels[HardwareId(0)].time(update).time.seconds() * problem_.factors.compute;
  return seconds;
}

LayerBytes TransformerCosts::bytes(size_t layer, const Strategy& s, int64_t samples,
                                   int32_t stages) const {
  const LayerWork& work = rank_costs(layer, s, samples).work;
  const int64_t shards = s.fsdp ? s.dp : 1;
  // Both ends of a pipeline hold a table that they share.
  const int64_t own = work.dense_parameters + (stages > 1 ? work.tied_parameters : 0);
  const int64_t parameters = (own + shards - 1) / shards;
  const StateBytes states = state_bytes(options_.precision, 0, static_cast<double>(parameters), 1);
  return {Bytes(static_cast<int64_t>(states.total())), Bytes(work.kept_bytes)};
}

Bytes TransformerCosts::memory_limit(int64_t samples, int32_t stages) const {
  Bytes most;  // of a layer while it runs: its buffers; parameters and gradients of it and the next
  for (size_t u = 0; u < layer_count(); ++u) {
    if (kind_of_layer_[u] != u) continue;
    for (const Strategy& s : stage_strategies(device_count() / stages)) {
      if (!allowed(u, s, samples)) continue;
      const LayerWork& work = rank_costs(u, s, samples).work;
      const int64_t gathered =
          s.fsdp ? 4 * work.dense_parameters * size_bytes(options_.precision.parameters) : 0;
      most = std::max(most, Bytes(work.transient_bytes + gathered));
    }
  }
  const Bytes memory = problem_.cluster.hardware_of(DeviceId(0)).memory;
  const Bytes taken = most + problem_.factors.reserved + kWorkspaces;
  return taken < memory ? memory - taken : Bytes();
}

double TransformerCosts::edge_bytes(const Edge& edge) const {
  const TransformerLayer& from = problem_.model.layers[edge.from];
  const double value = activation_bytes(options_.precision);
  const double hidden = static_cast<double>(from.seq_len * from.hidden) * value;
  if (is_hub_edge(edge) || options_.cross_attention == CrossAttention::kHub) return hidden;
  const TransformerLayer& to = problem_.model.layers[edge.to];
  // The encoder's output travels with the decoder's own vectors.
  if (!is_decoder_block(to)) return hidden;
  return hidden + static_cast<double>(to.cross_len * to.hidden) * value;
}

double TransformerCosts::reshard(const Edge& edge, const Strategy& from, const Strategy& to,
                                 int64_t samples, int32_t /*stages*/) const {
  if (from.dp == to.dp) return 0;
  const Strategy& spread = from.dp > to.dp ? from : to;
  const Strategy& gathered = from.dp > to.dp ? to : from;
  const double chunk = edge_bytes(edge) * static_cast<double>(samples) / gathered.dp;
  const int64_t parts = std::max(1, spread.dp / gathered.dp);
  return collective_s(CollectiveOp::kAllGather, chunk,
                      strided_group(parts, spread.tp, devices_per_node()));
}

double TransformerCosts::transfer(const Edge& edge, const Strategy& from, const Strategy& to,
                                  int64_t samples, int32_t stages) const {
  const double whole = edge_bytes(edge) * static_cast<double>(samples) / from.dp;
  const int64_t distance = device_count() / stages;
  double time = collective_s(CollectiveOp::kSendRecv, whole / from.tp,
                             strided_group(2, distance, devices_per_node()));
  if (from.tp > 1) {
    time += collective_s(CollectiveOp::kAllGather, whole,
                         strided_group(from.tp, 1, devices_per_node()));
  }
  return 2 * time + reshard(edge, from, to, samples, stages);
}

}  // namespace soapbox::strategies::uniap
