// Blocks: what one operator or one tensor edge contributes to the task graph.
//
// A block depends only on the configurations of the operators it touches, so changing one operator
// changes its own block, those of its edges, those of its weights (sync.h), and nothing else.
// lower() joins all blocks into a task graph; delta simulation replaces only the changed ones.
//
// An edge's transfers (FlexFlow, SysML 2019, section 5.1): the producer's pieces form a regular
// grid, so the pieces that a consumer's rectangle meets are found by division, not by testing all
// pairs: O(pairs that do meet).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cost/cost.h"
#include "sim/engine/task_graph.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"

namespace soapbox {

struct OpBlock {
  std::vector<Duration> forward;   // per piece; empty for kInput: data is at hand
  std::vector<Duration> backward;  // per piece; empty where nothing has a gradient
};

// A producer piece and a consumer piece whose rectangles meet.
struct PiecePair {
  uint32_t producer_piece = 0;
  uint32_t consumer_piece = 0;
  Bytes bytes;
  bool local = true;  // on one device: an ordering constraint without a transfer
};

// Partial input gradients from several pieces of one consumer that overlap in one producer piece.
struct GradientSum {
  uint32_t producer_piece = 0;
  Duration duration;
};

struct EdgeBlock {
  std::vector<PiecePair> pairs;   // by (consumer piece, producer piece)
  std::vector<GradientSum> sums;  // by producer piece; only where the edge has a backward
};

// The pairs of an edge by (producer piece, consumer piece). Copies them: O(pairs).
class PiecePairs {
 public:
  PiecePairs(std::span<const PiecePair> pairs, size_t producer_pieces);
  std::span<const PiecePair> of_producer(uint32_t piece) const {
    return {pairs_.data() + rows_[piece], pairs_.data() + rows_[piece + 1]};
  }

 private:
  std::vector<uint32_t> rows_;
  std::vector<PiecePair> pairs_;
};

// The time on this very device: a straggler takes longer than its hardware would.
Duration slowed(Duration duration, const Device& device);

// Whether gradients flow into an operator's output at all.
bool has_backward(const Operator& op);

OpBlock make_op_block(const Operator& op, const OpConfig& config, const Cluster& cluster,
                      const Costs& costs);
EdgeBlock make_edge_block(const OpGraph& graph, EdgeId edge, const OpConfig& producer,
                          const OpConfig& consumer, const Cluster& cluster, const Costs& costs);
// The same, in the memory of an earlier block.
void make_edge_block(const OpGraph& graph, EdgeId edge, const OpConfig& producer,
                     const OpConfig& consumer, const Cluster& cluster, const Costs& costs,
                     EdgeBlock& block);

// Whether two iteration spaces are equally large in every dimension.
bool equal_sizes(const std::vector<Dim>& a, const std::vector<Dim>& b);

// A number for each edge: edges of one number have equal blocks and sends wherever both ends have
// equal configurations. The steps of an unrolled layer share theirs.
IdVector<EdgeId, uint32_t> edge_shapes(const OpGraph& graph);

}  // namespace soapbox
