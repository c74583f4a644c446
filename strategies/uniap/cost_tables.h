// CostTables: everything that UniAP's optimisation knows about one pipeline degree and one number
// of micro-batches, and the objective over it.
//
// Source: Lin et al., "UniAP: Unifying Inter- and Intra-Layer Automatic Parallelism by Mixed
// Integer Quadratic Programming", CVPR 2025 (arXiv 2307.16375), section 3. With stage(u) and
// strategy(u) of every layer u,
//
//   p_i = sum over layers u of stage i of A[u, k_u] + sum over edges inside i of R[e, k_u, k_v]
//   o_j = sum over edges from stage j to stage j + 1 of R'[e, k_u, k_v]
//   objective = sum p + sum o + (c - 1) max({p} U {o})
//
// subject to sum over layers of i of memory <= limit_i; stages are contiguous in the order of
// layers, none is empty, and the stages of an edge do not go backwards. Every planner of this
// folder answers to this one judge; which terms A, R and memory contain is build_tables.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/units.h"

namespace soapbox::strategies::uniap {

// How the devices of a stage share a layer: tp x dp of them, the parameters of the data ranks
// sharded or not.
struct Strategy {
  int32_t tp = 1;
  int32_t dp = 1;
  bool fsdp = false;  // only where dp > 1
  friend bool operator==(const Strategy&, const Strategy&) = default;
};
// "tp2 dp4 fsdp"; parts of 1 are left out, "single" where all are.
std::string to_string(const Strategy& strategy);
// All of them for a stage of `devices`: every factorisation tp x dp, the pure tensor-parallel one
// without a sharded twin: 2 log2(d) + 1 where d is a power of two.
std::vector<Strategy> stage_strategies(int32_t devices);

struct Edge {
  size_t from = 0;  // < to
  size_t to = 0;
  friend bool operator==(const Edge&, const Edge&) = default;
};

// Bytes of one layer on each device of its stage.
struct LayerBytes {
  Bytes states;      // parameters, gradients, optimiser
  Bytes activation;  // of one micro-batch, kept until its backward pass
  friend bool operator==(const LayerBytes&, const LayerBytes&) = default;
};

struct CostTables {
  int32_t stages = 1;
  int64_t microbatches = 1;
  std::vector<Strategy> strategies;
  size_t layers = 0;
  std::vector<Edge> edges;  // sorted by (from, to); (u, u + 1) for every u among them

  // [layer][strategy]; seconds of one micro-batch. `allowed` is false where the layer cannot be
  // split so (heads, samples); its other entries are then not read.
  std::vector<char> allowed;
  std::vector<double> compute_s;
  std::vector<double> communication_s;  // the part of it that is traffic nothing hides
  std::vector<LayerBytes> memory;
  std::vector<double> reshard_s;        // [edge][from strategy][to strategy], within a stage
  std::vector<double> reshard_cross_s;  // the same, from one stage to the next

  std::vector<Bytes> limit;  // [stage]: what a device may hold, all but what comes and goes with
                             // single layers (gathered parameters, buffers)
  std::vector<int64_t> in_flight;  // [stage] micro-batches whose activations are kept at once

  size_t at(size_t layer, size_t strategy) const { return layer * strategies.size() + strategy; }
  size_t at(size_t edge, size_t from, size_t to) const {
    return (edge * strategies.size() + from) * strategies.size() + to;
  }
  // What a layer adds to a device of `stage`.
  Bytes layer_bytes(size_t layer, size_t strategy, size_t stage) const;
};

// stage(u) by the first layer of each stage, and strategy(u).
struct Assignment {
  std::vector<size_t> stage_begin;  // ascending, first 0
  std::vector<size_t> strategy;     // index into the tables' strategies
  size_t stage_end(size_t stage) const {
    return stage + 1 < stage_begin.size() ? stage_begin[stage + 1] : strategy.size();
  }
  friend bool operator==(const Assignment&, const Assignment&) = default;
};

struct Objective {
  double total_s = 0;
  std::vector<double> compute_stage_s;        // p
  std::vector<double> communication_stage_s;  // o
  std::vector<Bytes> memory;                  // of a device of each stage
};

// The value of an assignment whose memory fits; nothing where it does not, or where a strategy is
// not allowed. An edge over more than one stage boundary costs nothing, as in the paper.
std::optional<Objective> evaluate(const CostTables& tables, const Assignment& assignment);
// The same, whether or not it fits. REQUIRES: allowed strategies, no empty stage.
Objective value_of(const CostTables& tables, const Assignment& assignment);

// The index of the edge (u, u + 1).
size_t chain_edge(const CostTables& tables, size_t u);
// Whether two layers have the same costs, memory and allowed strategies.
bool same_layer(const CostTables& tables, size_t a, size_t b);

// Why no assignment fits: the cut of the layers that needs least memory, with every layer under the
// strategy that needs least, and its fullest stage.
struct Shortage {
  int32_t stage = 0;
  size_t first_layer = 0, last_layer = 0;
  LayerBytes parts;  // of the stage, activations of all micro-batches in flight
  Bytes needed;
  Bytes limit;
  bool not_splittable = false;  // a layer has no allowed strategy, or there are too few layers
  std::string to_string() const;
};
// Exact: nothing is returned if and only if some assignment fits. O(stages x layers^2).
std::optional<Shortage> shortage(const CostTables& tables);

}  // namespace soapbox::strategies::uniap
