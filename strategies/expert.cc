// The strategies that experts designed by hand, as FlexFlow's evaluation uses them (section 8.1.1).
//
// CNNs: "one weird trick". Recommendation models: table_parallel.cc. Models with recurrent
// operators: the layout of GNMT (Wu et al., arXiv 1609.08144, 2016): every node holds a full
// replica and gets a share of the samples; inside a node, operators of the same layer depth are on
// the same device.
//
// The layer depth of an operator is the longest path from a source along edges inside one unrolled
// step, counted in layers; edges between steps are recurrences and count nothing, so the encoder's
// and the decoder's first layers have the same depth. Depths are placed as GNMT does, consecutive
// depths on consecutive devices; as layers differ in work, they are cut into balanced contiguous
// groups.

#include <algorithm>
#include <map>

#include "strategies/placement.h"
#include "strategies/recipes.h"

namespace soapbox::strategies {
namespace {

std::string_view layer_of(const Operator& op) {
  return op.layer.empty() ? op.name : op.layer;
}

IdVector<OpId, int32_t> layer_depths(const OpGraph& graph) {
  IdVector<OpId, int32_t> depth(graph.ops().size(), 0);
  std::map<std::string_view, int32_t> layer_depth;
  for (const OpId id : graph.ops().ids()) {
    const Operator& op = graph.op(id);
    for (const EdgeId edge : graph.in_edges(id)) {
      const OpId producer = graph.edge(edge).producer;
      if (graph.op(producer).step != op.step) continue;
      const int32_t layers = layer_of(graph.op(producer)) == layer_of(op) ? 0 : 1;
      depth[id] = std::max(depth[id], depth[producer] + layers);
    }
    int32_t& deepest = layer_depth[layer_of(op)];
    deepest = std::max(deepest, depth[id]);
  }
  for (const OpId id : graph.ops().ids()) depth[id] = layer_depth[layer_of(graph.op(id))];
  return depth;
}

Plan gnmt(const Model& model, const Cluster& cluster) {
  const OpGraph& graph = model.graph;
  const std::vector<std::vector<DeviceId>> nodes = devices_by_node(cluster);
  const IdVector<OpId, int32_t> depths = layer_depths(graph);
  const int32_t deepest = *std::max_element(depths.begin(), depths.end());
  std::vector<Flops> work(static_cast<size_t>(deepest) + 1);
  for (const OpId id : graph.ops().ids()) {
    work[static_cast<size_t>(depths[id])] += training_flops(graph.op(id));
  }
  std::vector<std::vector<size_t>> group_of;  // by node, then depth
  for (const std::vector<DeviceId>& node : nodes) {
    group_of.push_back(balanced_groups(work, node.size()));
  }
  Plan plan;
  for (const OpId id : graph.ops().ids()) {
    std::vector<DeviceId> replicas;  // this operator's device in every node
    for (size_t n = 0; n < nodes.size(); ++n) {
      replicas.push_back(nodes[n][group_of[n][static_cast<size_t>(depths[id])]]);
    }
    const Operator& op = graph.op(id);
    plan.ops.push_back(split_over(op, divisible_dim(op, DimClass::kSample), replicas));
  }
  return plan;
}

}  // namespace

Result<Plan> expert(const Model& model, const Cluster& cluster) {
  const auto is_recurrent = [](const Operator& op) { return op.kind == OpKind::kLstm; };
  const IdVector<OpId, Operator>& ops = model.graph.ops();
  const auto has_table = [](const Operator& op) { return op.kind == OpKind::kEmbeddingBag; };
  if (std::any_of(ops.begin(), ops.end(), is_recurrent)) return gnmt(model, cluster);
  if (std::any_of(ops.begin(), ops.end(), has_table)) return table_parallel(model, cluster);
  return one_weird_trick(model, cluster);
}

}  // namespace soapbox::strategies
