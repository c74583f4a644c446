#include "sim/simulate/plan_blocks.h"

namespace soapbox {

PlanBlocks make_plan_blocks(const OpGraph& graph, const Cluster& cluster, const Costs& costs,
                            const Plan& plan, NetworkModel network) {
  PlanBlocks blocks;
  for (const OpId op : graph.ops().ids()) {
    blocks.ops.push_back(make_op_block(graph.op(op), plan.ops[op], cluster, costs));
  }
  for (const EdgeId id : graph.edges().ids()) {
    const Edge& edge = graph.edge(id);
    blocks.edges.push_back(make_edge_block(graph, id, plan.ops[edge.producer],
                                           plan.ops[edge.consumer], cluster, costs));
  }
  for (const WeightId weight : graph.weights().ids()) {
    blocks.weights.push_back(make_sync_block(graph, weight, plan, cluster, costs, network));
  }
  return blocks;
}

}  // namespace soapbox
