#include "sim/simulate/memory_bound.h"

#include <algorithm>

namespace soapbox {

namespace {

void add_weight(const SyncBlock& weight, IdVector<DeviceId, Bytes>& held) {
  for (const HeldSlice& slice : weight.held) {
    held[slice.device] += slice.parameters + slice.gradients;
  }
  for (const SyncTask& task : weight.tasks) {
    if (task.is_push()) held[task.to] += task.bytes;
  }
}

}  // namespace

EdgeMemory make_edge_memory(const OpGraph& graph, EdgeId edge, const EdgeBlock& block,
                            const OpConfig& producer_config, const OpConfig& consumer_config) {
  const auto& [producer, consumer, input] = graph.edge(edge);
  EdgeMemory memory;
  memory.consumers.resize(consumer_config.task_count());
  if (graph.op(producer).kind == OpKind::kInput) {
    for (size_t q = 0; q < memory.consumers.size(); ++q) {
      memory.consumers[q].freed = sample_bytes(graph, edge, consumer_config, q);
    }
    return memory;
  }
  const bool backward = has_backward(graph.op(producer)) && has_backward(graph.op(consumer));
  if (backward) memory.producers.resize(producer_config.task_count());
  const std::vector<PiecePair>& pairs = block.pairs;
  for (size_t i = 0; i < pairs.size();) {
    const PiecePair& first = pairs[i];
    Bytes read;
    size_t sources = 0;
    for (; i < pairs.size() && pairs[i].consumer_piece == first.consumer_piece; ++i, ++sources) {
      read += pairs[i].bytes;
      if (backward && !pairs[i].local)
        memory.producers[pairs[i].producer_piece].freed += pairs[i].bytes;
    }
    const bool in_place = sources == 1 && first.local;
    EdgeMemory::Piece& piece = memory.consumers[first.consumer_piece];
    if (!in_place) piece.freed = read;
    if (backward) piece.gradients = read;
    if (backward && in_place) memory.producers[first.producer_piece].gradients += read;
  }
  if (!backward) return memory;
  const Bytes sum = output_bytes(graph.op(producer), producer_config);
  for (const GradientSum& gradients : block.sums) {
    memory.producers[gradients.producer_piece].freed += sum;
  }
  return memory;
}

IdVector<DeviceId, Bytes> memory_bound(const OpGraph& graph, const Cluster& cluster,
                                       const Plan& plan, const PlanEdgeMemory& edges,
                                       const IdVector<WeightId, SyncBlock>& weights) {
  IdVector<DeviceId, Bytes> held(cluster.device_count(), kWorkspaces);
  IdVector<DeviceId, Bytes> made(cluster.device_count());  // X
  std::vector<EdgeMemory::Piece> pieces;
  for (const OpId op : graph.ops().ids()) {
    if (graph.op(op).kind == OpKind::kInput) continue;
    const OpConfig& config = plan.ops[op];
    const Bytes own = output_bytes(graph.op(op), config) + inside_bytes(graph, op, config);
    pieces.assign(config.task_count(), {own, {}});
    for (const EdgeId edge : graph.in_edges(op)) {
      const std::vector<EdgeMemory::Piece>& reads = edges[edge]->consumers;
      for (size_t q = 0; q < reads.size(); ++q) {
        pieces[q].freed += reads[q].freed;
        pieces[q].gradients += reads[q].gradients;
      }
    }
    for (size_t i = 0; i < pieces.size(); ++i) {
      Bytes& most = made[config.devices[i]];
      most = std::max(most, pieces[i].gradients);
    }
    for (const EdgeId edge : graph.out_edges(op)) {
      const std::vector<EdgeMemory::Piece>& sends = edges[edge]->producers;
      for (size_t p = 0; p < sends.size(); ++p) {
        pieces[p].freed += sends[p].freed;
        pieces[p].gradients = pieces[p].gradients - sends[p].gradients;
      }
    }
    for (size_t i = 0; i < pieces.size(); ++i) {
      held[config.devices[i]] += std::max(pieces[i].freed, pieces[i].gradients);
    }
  }
  for (const SyncBlock& weight : weights) add_weight(weight, held);
  for (const DeviceId device : held.ids()) held[device] += made[device];
  return held;
}

}  // namespace soapbox
