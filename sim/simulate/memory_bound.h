// A bound on what each device holds under any schedule of a plan: a searcher asks for the exact
// figure (plan_memory.h) only where the bound does not fit.
//
// Of a piece v let K(v) be all that the end of its backward frees at the latest (its output, what
// is kept inside, inputs put together, samples, gradients that arrive and their sums), and N(v) the
// gradients that its backward makes less those that it takes from where they were made, on its own
// device. When E are the pieces of a device whose backward has ended, the others hold K at most,
// and of what those in E made nothing is left that another in E took, which then ended later:
//     held <= sum over v not in E of K(v)  +  sum over v in E of N(v)  +  X
//          <= sum over all v of max(K(v), N(v))  +  X,
// where X is the most gradients that one piece makes: one piece runs at a time. What is held for
// good and what parameter servers receive comes on top. O(pieces of operators and edges).
#pragma once

#include <memory>
#include <vector>

#include "sim/simulate/plan_blocks.h"
#include "sim/simulate/plan_memory.h"

namespace soapbox {

// What an edge adds to the pieces at its ends.
struct EdgeMemory {
  struct Piece {
    Bytes freed;
    Bytes gradients;
  };
  std::vector<Piece> consumers;  // with the gradients that each makes
  std::vector<Piece> producers;  // with the gradients that each takes; empty if none flow back
};
EdgeMemory make_edge_memory(const OpGraph& graph, EdgeId edge, const EdgeBlock& block,
                            const OpConfig& producer, const OpConfig& consumer);

using PlanEdgeMemory = IdVector<EdgeId, std::shared_ptr<const EdgeMemory>>;

IdVector<DeviceId, Bytes> memory_bound(const OpGraph& graph, const Cluster& cluster,
                                       const Plan& plan, const PlanEdgeMemory& edges,
                                       const IdVector<WeightId, SyncBlock>& weights);

}  // namespace soapbox
