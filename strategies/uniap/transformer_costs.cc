#include "strategies/uniap/transformer_costs.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox::strategies::uniap {
namespace {

// Adam: two moments, and with 16-bit parameters a master copy; all fp32.
constexpr int64_t kMomentBytes = 8;
constexpr int64_t kMasterBytes = 4;
// Read: gradient, parameter, moments; written: parameter, moments.
constexpr double kUpdateBytesPerParameter = 28;

bool is_decoder_block(const TransformerLayer& layer) {
  return layer.kind == LayerKind::kBlock && layer.cross_len > 0;
}

int64_t state_bytes(const Precision& precision) {
  const auto parameter = static_cast<int64_t>(size_bytes(precision.parameters));
  return parameter + static_cast<int64_t>(size_bytes(precision.gradients)) + kMomentBytes +
         (parameter < 4 ? kMasterBytes : 0);
}

ParallelPlan plan_of(const TransformerCostsOptions& options, int64_t samples) {
  ParallelPlan plan;
  plan.microbatch = samples;
  plan.precision = options.precision;
  plan.flash_attention = options.flash_attention;
  return plan;
}

}  // namespace

TransformerCosts::TransformerCosts(const Transformer& model, const Cluster& cluster,
                                   const KernelCosts& kernels, const GroupCosts& groups,
                                   const TransformerCostsOptions& options)
    : model_(model), cluster_(cluster), kernels_(kernels), groups_(groups), options_(options) {
  for (size_t u = 0; u < model.layers.size(); ++u) {
    size_t same = 0;
    while (!(model.layers[same] == model.layers[u])) ++same;
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

std::string TransformerCosts::layer_name(size_t layer) const {
  return str_cat(to_string(model_.layers[layer].kind), " ", layer);
}

std::vector<Edge> TransformerCosts::edges() const {
  std::vector<Edge> edges;
  size_t encoder_end = 0;  // the last block before the first decoder block
  for (size_t u = 0; u < model_.layers.size(); ++u) {
    if (u + 1 < model_.layers.size()) edges.push_back({u, u + 1});
    if (is_decoder_block(model_.layers[u])) {
      if (options_.cross_attention == CrossAttention::kHub && u > encoder_end + 1) {
        edges.push_back({encoder_end, u});
      }
    } else if (model_.layers[u].kind == LayerKind::kBlock) {
      encoder_end = u;
    }
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return std::tie(a.from, a.to) < std::tie(b.from, b.to);
  });
  return edges;
}

GroupShape TransformerCosts::shape(int64_t ranks, int64_t stride, int64_t devices) const {
  const int64_t per_node = std::min(groups_.fabric().devices_per_node, devices);
  GroupShape group;
  group.ranks_per_node = std::clamp<int64_t>(per_node / stride, 1, ranks);
  while (ranks % group.ranks_per_node != 0) --group.ranks_per_node;
  group.nodes = ranks / group.ranks_per_node;
  group.groups_per_node = std::max<int64_t>(1, per_node / group.ranks_per_node);
  group.node_stride = std::max<int64_t>(1, stride / per_node);
  return group;
}

double TransformerCosts::collective_s(CollectiveOp op, double bytes,
                                      const GroupShape& group) const {
  if (group.nodes * group.ranks_per_node == 1 || bytes <= 0) return 0;
  return groups_.time(op, Bytes(std::llround(bytes)), group).time.seconds();
}

// Kernels one after the other, returned; exchanges apart, less what the kernels beside them hide.
double TransformerCosts::steps_s(const std::vector<Step>& steps, const GroupShape& tensor,
                                 double& exchange_s) const {
  double compute = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (const auto* kernel = std::get_if<Kernel>(&steps[i].what)) {
      compute += kernels_.time(*kernel).time.seconds();
      continue;
    }
    const auto& exchange = std::get<Exchange>(steps[i].what);
    double rest = collective_s(exchange.op, exchange.bytes, tensor);
    int32_t behind = exchange.hidden_behind;
    for (size_t j = i + 1; j < steps.size() && behind > 0; ++j) {
      const auto* kernel = std::get_if<Kernel>(&steps[j].what);
      if (kernel == nullptr) continue;
      rest -= kernels_.time(*kernel).time.seconds();
      --behind;
    }
    exchange_s += std::max(0.0, rest);
  }
  return compute;
}

const TransformerCosts::RankCosts& TransformerCosts::rank_costs(size_t layer, int32_t tp,
                                                                int64_t samples,
                                                                int32_t stages) const {
  const auto [found, is_new] =
      known_.try_emplace({kind_of_layer_[layer], tp, samples, stages}, RankCosts());
  RankCosts& costs = found->second;
  if (!is_new) return costs;
  LayerStrategy strategy;
  strategy.tensor_parallel = tp;
  costs.work = make_layer_work(model_.layers[layer], strategy, plan_of(options_, samples));
  const GroupShape tensor = shape(tp, 1, devices_of(stages));
  costs.forward_s = steps_s(costs.work.forward, tensor, costs.tensor_forward_s);
  costs.backward_s = steps_s(costs.work.recompute, tensor, costs.tensor_backward_s) +
                     steps_s(costs.work.backward, tensor, costs.tensor_backward_s);
  return costs;
}

bool TransformerCosts::allowed(size_t layer, const Strategy& strategy, int64_t samples) const {
  if (samples % strategy.dp != 0) return false;
  const TransformerLayer& l = model_.layers[layer];
  return l.kind != LayerKind::kBlock || l.attention.heads % strategy.tp == 0;
}

LayerSeconds TransformerCosts::seconds(size_t layer, const Strategy& s, int64_t samples,
                                       int32_t stages) const {
  const RankCosts& rank = rank_costs(layer, s.tp, samples / s.dp, stages);
  LayerSeconds seconds{.forward = rank.forward_s,
                       .backward = rank.backward_s,
                       .tensor_forward = rank.tensor_forward_s,
                       .tensor_backward = rank.tensor_backward_s};
  const GroupShape data = shape(s.dp, s.tp, devices_of(stages));
  const auto parameters = static_cast<double>(rank.work.dense_parameters);
  const double gradients =
      parameters * static_cast<double>(size_bytes(options_.precision.gradients));
  seconds.gradient = collective_s(s.fsdp ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce,
                                  gradients, data);
  if (s.fsdp) {
    const double weights =
        parameters * static_cast<double>(size_bytes(options_.precision.parameters));
    seconds.gather_forward = seconds.gather_backward =
        collective_s(CollectiveOp::kAllGather, weights, data);
  }
  Kernel update;
  update.kind = KernelKind::kOptimizer;
  update.type = DataType::kFp32;
  update.bytes = kUpdateBytesPerParameter * parameters / (s.fsdp ? s.dp : 1);
  seconds.update = kernels_.time(update).time.seconds();
  return seconds;
}

LayerBytes TransformerCosts::bytes(size_t layer, const Strategy& s, int64_t samples,
                                   int32_t stages) const {
  const LayerWork& work = rank_costs(layer, s.tp, samples / s.dp, stages).work;
  const int64_t shards = s.fsdp ? s.dp : 1;
  const int64_t parameters = (work.dense_parameters + shards - 1) / shards;
  return {Bytes(parameters * state_bytes(options_.precision)), Bytes(work.kept_bytes)};
}

Bytes TransformerCosts::memory_limit(int64_t samples, int32_t stages) const {
  Bytes most;  // of a layer while it runs: its buffers, and its own and the next one's parameters
  for (size_t u = 0; u < model_.layers.size(); ++u) {
    if (kind_of_layer_[u] != u) continue;
    for (const Strategy& s : stage_strategies(static_cast<int32_t>(devices_of(stages)))) {
      if (!allowed(u, s, samples)) continue;
      const LayerWork& work = rank_costs(u, s.tp, samples / s.dp, stages).work;
      const int64_t gathered =
          s.fsdp ? 2 * work.dense_parameters *
                       static_cast<int64_t>(size_bytes(options_.precision.parameters))
                 : 0;
      most = std::max(most, Bytes(work.transient_bytes + gathered));
    }
  }
  const Bytes memory = cluster_.hardware_of(DeviceId(0)).memory;
  const Bytes taken = most + options_.reserve;
  return taken < memory ? memory - taken : Bytes();
}

double TransformerCosts::edge_bytes(const Edge& edge) const {
  const TransformerLayer& from = model_.layers[edge.from];
  const auto value = static_cast<double>(size_bytes(options_.precision.parameters));
  const double hidden = static_cast<double>(from.seq_len * from.hidden) * value;
  if (is_hub_edge(edge) || options_.cross_attention == CrossAttention::kHub) return hidden;
  const TransformerLayer& to = model_.layers[edge.to];
  // The encoder's output travels with the decoder's own vectors.
  if (!is_decoder_block(to)) return hidden;
  return hidden + static_cast<double>(to.cross_len * to.hidden) * value;
}

double TransformerCosts::reshard(const Edge& edge, const Strategy& from, const Strategy& to,
                                 int64_t samples, int32_t stages) const {
  const int32_t wide = std::max(from.tp, to.tp);
  const int32_t narrow = std::min(from.tp, to.tp);
  if (wide == narrow) return 0;
  const double chunk = edge_bytes(edge) * static_cast<double>(samples) / std::min(from.dp, to.dp);
  const int64_t ranks = std::max<int64_t>(2, wide / narrow);
  return collective_s(CollectiveOp::kAllGather, chunk, shape(ranks, narrow, devices_of(stages)));
}

double TransformerCosts::transfer(const Edge& edge, const Strategy& from, const Strategy& to,
                                  int64_t samples, int32_t stages) const {
  const double part = edge_bytes(edge) * static_cast<double>(samples) / from.dp;
  const int64_t per_node = groups_.fabric().devices_per_node;
  const int64_t devices = devices_of(stages);
  // The slowest boundary between stages: one that leaves a node, where there is one.
  const bool leaves_node = groups_.fabric().node_count > 1;
  GroupShape pair{.ranks_per_node = 2, .nodes = 1};
  if (leaves_node) {
    pair = {.ranks_per_node = 1,
            .nodes = 2,
            .groups_per_node = std::min(per_node, devices),
            .node_stride = std::max<int64_t>(1, devices / per_node)};
  }
  return 2 * collective_s(CollectiveOp::kSendRecv, part, pair) +
         reshard(edge, from, to, samples, stages);
}

}  // namespace soapbox::strategies::uniap
