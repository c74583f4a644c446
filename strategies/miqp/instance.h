// UniAP's mixed integer quadratic program (arXiv 2307.16375) as data: one
// pipeline degree and one number of microbatches, in integers.
//
// Binary variables P[u][i] (layer u is on stage i) and S[u][k] (layer u has
// strategy k). With c microbatches and pp stages, equation by equation:
//
//   (1)  min  sum_i p_i + sum_j o_j + (c - 1) max({p_i} u {o_j})        j = 1
//   .. pp - 1 (2)  p_i = sum_u P[u][i] compute[u].S[u]
//            + sum_(u,v) P[u][i] P[v][i] S[u].reshard[u,v].S[v]
//   (3)  o_j = sum_(u,v) P[u][j] P[v][j+1] S[u].reshard_cross[u,v].S[v]
//   (4)  sum_u P[u][i] memory_i[u].S[u] <= memory_limit[i]
//   (5)  stage(u) <= stage(v) on every edge (u,v)
//   (6)  every layer is on one stage         (7)  every stage has a layer
//   (8)  every layer has one strategy        (9)  P and S are binary
//
// What the paper leaves open is a named field here: LongEdges for edges that
// skip a stage, which (3) does not charge; `empty_stages` lifts (7). Constraint
// (5) is stronger than the paper's convexity, which would let stages run
// against the edges at no cost.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"

namespace soapbox::miqp {

// In a table of costs: this strategy, or this pair of strategies, must not be
// chosen.
inline constexpr int64_t kNotAllowed = std::numeric_limits<int64_t>::max();

// Sums over all layers and edges of the largest entries stay below this: exact
// in a double with room for what solvers add to them.
inline constexpr int64_t kMostTime = int64_t{1} << 48;
inline constexpr int64_t kMostMemory = int64_t{1} << 51;
// The objective, microbatches included.
inline constexpr int64_t kMostObjective = int64_t{1} << 61;

// How many microbatches of activations a stage holds at its peak.
enum class MemoryModel {
  kGpipe,       // all of them
  kOneForward,  // 1F1B: stage i of pp holds min(pp - i, microbatches)
};

// What an edge costs whose ends are two or more stages apart.
enum class LongEdges {
  kFree,    // nothing, as equation (3) says
  kPerHop,  // reshard_cross at every boundary that it crosses
};

struct Edge {
  uint32_t from = 0;
  uint32_t to = 0;
  friend bool operator==(const Edge&, const Edge&) = default;
};

struct Instance {
  size_t layers = 0;
  size_t strategies = 0;
  size_t stages = 1;
  int64_t microbatches = 1;
  std::vector<Edge> edges;                     // acyclic; parallel edges add up
  std::vector<int64_t> compute;                // [layer][strategy]: time, or kNotAllowed
  std::vector<int64_t> memory;                 // [layer][strategy]: or kNotAllowed
  std::vector<int64_t> memory_per_microbatch;  // [layer][strategy], or empty: nothing
  std::vector<int64_t> memory_limit;           // [stage]
  std::vector<int64_t> reshard;                // [edge][from's strategy][to's strategy]: time
  std::vector<int64_t> reshard_cross;          // the same where the edge crosses to the next stage
  MemoryModel memory_model = MemoryModel::kGpipe;
  LongEdges long_edges = LongEdges::kFree;
  bool empty_stages = false;
  // One unit of time is 10^time_exponent of the input's; memory alike.
  int time_exponent = 0;
  int memory_exponent = 0;

  int64_t compute_at(size_t layer, size_t strategy) const {
    return compute[layer * strategies + strategy];
  }
  int64_t reshard_at(size_t edge, size_t from, size_t to) const {
    return reshard[(edge * strategies + from) * strategies + to];
  }
  int64_t reshard_cross_at(size_t edge, size_t from, size_t to) const {
    return reshard_cross[(edge * strategies + from) * strategies + to];
  }
  bool allowed(size_t layer, size_t strategy) const {
    return compute_at(layer, strategy) != kNotAllowed &&
           memory[layer * strategies + strategy] != kNotAllowed;
  }
  // Microbatches whose activations stage `stage` holds.
  int64_t in_flight(size_t stage) const;
  // What an allowed strategy needs on a stage.
  int64_t memory_at(size_t stage, size_t layer, size_t strategy) const;

  friend bool operator==(const Instance&, const Instance&) = default;
};

// Everything that solvers rely on: sizes, ranges, no cycle, sums within the
// limits above. The error names the field, the value and what is allowed.
Status validate(const Instance& instance);

// Layers such that every edge goes forward, the smallest number first among
// equals. Empty if there is a cycle.
std::vector<uint32_t> topological_order(const Instance& instance);

// 64 bits over everything that decides the answer. Equal instances have equal
// hashes on every machine.
uint64_t instance_hash(const Instance& instance);

std::string_view to_string(MemoryModel model);
std::string_view to_string(LongEdges edges);

// The same in the input's own numbers. NaN stands for "not allowed".
struct RealInstance {
  size_t layers = 0;
  size_t strategies = 0;
  size_t stages = 1;
  int64_t microbatches = 1;
  std::vector<Edge> edges;
  std::vector<double> compute;
  std::vector<double> memory;
  std::vector<double> memory_per_microbatch;
  std::vector<double> memory_limit;
  std::vector<double> reshard;
  std::vector<double> reshard_cross;
  MemoryModel memory_model = MemoryModel::kGpipe;
  LongEdges long_edges = LongEdges::kFree;
  bool empty_stages = false;
};

// Integers from numbers: the finest power of ten that keeps the sums below
// kMostTime and kMostMemory, so decimal input of up to some 12 digits stays
// exact. Times are rounded to the nearest unit, memory up, limits down. The
// objective is off by at most half a unit for each layer and edge, times the
// microbatches. Errors as validate() and for negative or infinite numbers.
Result<Instance> quantise(const RealInstance& real);

// A time of the instance in the input's own unit, correctly rounded.
double real_time(const Instance& instance, int64_t time);
double real_memory(const Instance& instance, int64_t memory);

}  // namespace soapbox::miqp
