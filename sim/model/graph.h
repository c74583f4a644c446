// The operator graph of a model, validated and in topological order.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/result.h"
#include "sim/model/op.h"

namespace soapbox {

using EdgeId = StrongId<struct EdgeTag>;

// Tensor edge: input number `input` of `consumer`.
struct Edge {
  OpId producer;
  OpId consumer;
  uint32_t input = 0;
};

// An immutable graph. Operators are numbered in topological order: a producer's id is below its
// consumers'. Edges are numbered by (consumer, input).
class OpGraph {
 public:
  // Checks ranks, axis maps, sizes and weight shapes, and orders the operators topologically
  // (stable: operators that are already in order keep their numbers). Errors name the operator.
  static Result<OpGraph> make(IdVector<OpId, Operator> ops, IdVector<WeightId, Weight> weights);

  const IdVector<OpId, Operator>& ops() const { return ops_; }
  const IdVector<WeightId, Weight>& weights() const { return weights_; }
  const IdVector<EdgeId, Edge>& edges() const { return edges_; }
  const Operator& op(OpId id) const { return ops_[id]; }
  const Weight& weight(WeightId id) const { return weights_[id]; }
  const Edge& edge(EdgeId id) const { return edges_[id]; }
  std::span<const EdgeId> in_edges(OpId op) const;
  std::span<const EdgeId> out_edges(OpId op) const;
  std::span<const OpId> users(WeightId weight) const;  // operators sharing a weight, ascending
  int32_t depth(OpId op) const { return depth_[op]; }  // longest path from a source, in operators

  int64_t parameter_count() const;
  Flops forward_flops() const;

 private:
  IdVector<OpId, Operator> ops_;
  IdVector<WeightId, Weight> weights_;
  IdVector<EdgeId, Edge> edges_;
  IdVector<OpId, std::vector<EdgeId>> in_edges_;
  IdVector<OpId, std::vector<EdgeId>> out_edges_;
  IdVector<WeightId, std::vector<OpId>> users_;
  IdVector<OpId, int32_t> depth_;
};

// A named model at one global batch size.
struct Model {
  std::string name;
  int64_t batch = 0;  // samples per iteration, over all devices
  OpGraph graph;
};

}  // namespace soapbox
