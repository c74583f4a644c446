// The ways in which one operator can run on a mesh: how its result lies, what its operands must be
// like, and what it communicates.
//
// A product result[b, m, n] = sum over k of lhs[b, m, k] rhs[b, k, n] has two of its dimensions
// split, one along each axis of the mesh; where k is split, the partial sums are added by an
// all-reduce of the result along that axis. With two batch dimensions and two axes it has those
// split. All other operators follow their operand that is computed last, as Alpa's `s_follow` does;
// the rest is brought to where the result is.
#pragma once

#include <optional>
#include <vector>

#include "strategies/alpa/operator_graph.h"

namespace soapbox::strategies::alpa {

struct OpStrategy {
  Sharding result;
  double communication_s = 0;
  double memory_bytes = 0;       // of the result on each device
  std::vector<Sharding> needed;  // of each operand
  // The strategy of the operand that is followed, or nothing.
  std::optional<size_t> follows;
};

struct OpStrategies {
  std::optional<size_t> leader;  // which operand is followed
  std::vector<OpStrategy> all;
};

// For every operator of the graph.
std::vector<OpStrategies> op_strategies(const OperatorGraph& graph, const Mesh& mesh);

// What it takes to bring a tensor from one sharding to another: an all-gather of the whole tensor
// for each dimension that is split otherwise before; to split what is whole is free.
double reshard_s(const Mesh& mesh, double bytes, const Sharding& from, const Sharding& to);

}  // namespace soapbox::strategies::alpa
