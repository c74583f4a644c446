// Blocks: what one operator, one tensor edge or one weight contributes to the task graph.
//
// Each block depends only on the configurations of the operators it touches, so changing one
// operator changes its own block, those of its edges and those of its weights, and nothing else.
// lower() joins all blocks into a task graph; a searcher that changes one operator needs only the
// changed blocks.
//
// An edge's transfers (FlexFlow, SysML 2019, section 5.1): the producer's pieces form a regular
// grid, so the pieces that a consumer's rectangle meets are found by division, not by testing all
// pairs: O(pairs that do meet). A weight's slices: the pieces' rectangles cut every axis at their
// boundaries; cells with the same set of devices form one slice, synchronised once over that set.
#pragma once

#include <cstdint>
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

struct WeightReplica {
  DeviceId device;
  struct Contributor {
    OpId op;
    uint32_t piece = 0;
    friend auto operator<=>(const Contributor&, const Contributor&) = default;
  };
  std::vector<Contributor> contributors;  // tasks whose backward gives a part of the gradient
};

struct WeightSlice {
  Bytes bytes;
  std::vector<WeightReplica> replicas;  // by device
};

struct WeightBlock {
  std::vector<WeightSlice> slices;
};

// Whether gradients flow into an operator's output at all.
bool has_backward(const Operator& op);

OpBlock make_op_block(const Operator& op, const OpConfig& config, const Cluster& cluster,
                      const Costs& costs);
EdgeBlock make_edge_block(const OpGraph& graph, EdgeId edge, const OpConfig& producer,
                          const OpConfig& consumer, const Cluster& cluster, const Costs& costs);
WeightBlock make_weight_block(const OpGraph& graph, WeightId weight, const Plan& plan);

}  // namespace soapbox
