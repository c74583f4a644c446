// An instance seen along its topological order: positions instead of layers,
// the edges between neighbours merged into one table per position, and the
// edges that skip a position apart.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "strategies/miqp/instance.h"

namespace soapbox::miqp {

struct SkipEdge {
  size_t from = 0;  // positions; to >= from + 2
  size_t to = 0;
  size_t edge = 0;  // of the instance
};

struct Chain {
  std::vector<uint32_t> order;  // [position] -> layer
  // Neighbours u - 1 and u, [position u][strategy of u - 1][strategy of u];
  // sums of parallel edges, kNotAllowed where one of them is; zeros where there
  // is no edge. Position 0 is empty.
  std::vector<std::vector<int64_t>> reshard;
  std::vector<std::vector<int64_t>> reshard_cross;
  std::vector<SkipEdge> skips;
  // Every position follows from the one before, so stages are intervals of
  // positions.
  bool is_path = false;
};

Chain make_chain(const Instance& instance);

// The position from which all edges over layers start, where there are some and they are free
// beyond their ends.
std::optional<size_t> only_hub(const Instance& instance, const Chain& chain);

}  // namespace soapbox::miqp
