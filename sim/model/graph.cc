#include "sim/model/graph.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/depth_first_search.hpp>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>

#include "sim/base/str.h"

namespace soapbox {

namespace {

// Element counts up to this stay exact in int64, with room for the bytes of an element.
constexpr double kMaxElements = 1e18;

Status check_dims(const Operator& op) {
  if (op.dims.empty() || op.dims.size() > kMaxDims) {
    return bad_input(str_cat("it has ", op.dims.size(), " dimensions; allowed: 1 to ", kMaxDims));
  }
  if (op.output_rank < 1 || op.output_rank > op.dims.size()) {
    return bad_input(str_cat("output rank ", op.output_rank, " of ", op.dims.size(),
                             " dimensions; allowed: 1 to ", op.dims.size()));
  }
  double points = 1;
  for (size_t d = 0; d < op.dims.size(); ++d) {
    const Dim& dim = op.dims[d];
    if (dim.size < 1) {
      return bad_input(str_cat("dimension '", dim.name, "' has size ", dim.size, "; allowed: > 0"));
    }
    if ((dim.dim_class == DimClass::kReduction) != (d >= op.output_rank)) {
      return bad_input(str_cat("dimension '", dim.name, "' of class ",
                               std::string(1, letter(dim.dim_class)), " is number ", d,
                               ", but the output has rank ", op.output_rank,
                               ": reductions follow the output dimensions"));
    }
    points *= static_cast<double>(dim.size);
    if (d < op.output_rank && points > kMaxElements) {
      return bad_input("its output has more than 10^18 elements");
    }
  }
  return ok();
}

// A map of one axis, judged on the whole iteration space.
Status check_axis(const Operator& op, const AxisMap& map, int64_t axis_size) {
  if (map.kind == AxisMap::Kind::kWhole) return ok();
  if (map.kind == AxisMap::Kind::kFixed) {
    if (map.fixed.lo >= 0 && map.fixed.lo < map.fixed.hi && map.fixed.hi <= axis_size) return ok();
    return bad_input(str_cat("the fixed range [", map.fixed.lo, ", ", map.fixed.hi,
                             ") is not inside [0, ", axis_size, ")"));
  }
  if (map.dim >= op.dims.size()) {
    return bad_input(
        str_cat("it follows dimension ", static_cast<int>(map.dim), " of ", op.dims.size()));
  }
  if (map.stride < 1 || map.kernel < 1) {
    return bad_input(str_cat("stride ", map.stride, " and kernel ", map.kernel, "; allowed: > 0"));
  }
  std::array<Range, kMaxDims> all{};
  all[map.dim] = {0, op.dims[map.dim].size};
  if (map.apply(all, axis_size).extent() == 0) {
    return bad_input(str_cat("following dimension '", op.dims[map.dim].name, "' with padding ",
                             map.padding, " reads nothing of the axis of size ", axis_size));
  }
  return ok();
}

Status check_axes(const Operator& op, const std::vector<AxisMap>& maps,
                  const std::vector<int64_t>& shape) {
  if (maps.size() != shape.size()) {
    return bad_input(str_cat(maps.size(), " axis maps for a tensor of rank ", shape.size()));
  }
  for (size_t axis = 0; axis < maps.size(); ++axis) {
    if (Status status = check_axis(op, maps[axis], shape[axis]); !status) {
      return bad_input(str_cat("axis ", axis, ": ", status.error().message));
    }
  }
  return ok();
}

std::vector<int64_t> output_shape(const Operator& op) {
  std::vector<int64_t> shape;
  for (size_t d = 0; d < op.output_rank; ++d) shape.push_back(op.dims[d].size);
  return shape;
}

Status check_tensors(const Operator& op, const IdVector<OpId, Operator>& ops,
                     const IdVector<WeightId, Weight>& weights) {
  if (op.kind == OpKind::kInput && (!op.inputs.empty() || !op.weights.empty())) {
    return bad_input("an input reads nothing and has no weights");
  }
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const Input& input = op.inputs[i];
    if (!ops.contains(input.producer)) {
      return bad_input(str_cat("input ", i, ": there is no such operator"));
    }
    const Operator& producer = ops[input.producer];
    if (Status status = check_axes(op, input.axes, output_shape(producer)); !status) {
      return bad_input(str_cat("input ", i, " ('", producer.name, "'): ", status.error().message));
    }
  }
  for (const WeightUse& use : op.weights) {
    if (!weights.contains(use.weight)) return bad_input("there is no such weight");
    const Weight& weight = weights[use.weight];
    if (Status status = check_axes(op, use.axes, weight.shape); !status) {
      return bad_input(str_cat("weight '", weight.name, "': ", status.error().message));
    }
  }
  return ok();
}

Status check_ops(const IdVector<OpId, Operator>& ops, const IdVector<WeightId, Weight>& weights) {
  if (ops.empty()) return bad_input("the model has no operators");
  std::unordered_map<std::string, OpId> by_name;
  // Own shapes first: the tensors between operators are judged by them.
  for (const OpId id : ops.ids()) {
    const Operator& op = ops[id];
    const auto refuse = [&](const std::string& why) {
      return bad_input(str_cat("operator '", op.name, "': ", why));
    };
    if (op.name.empty()) return bad_input(str_cat("operator ", id.value(), " has no name"));
    if (!by_name.emplace(op.name, id).second) return refuse("two operators have this name");
    if (Status status = check_dims(op); !status) return refuse(status.error().message);
    if (op.kernel_h < 1 || op.kernel_w < 1) {
      return refuse(str_cat("kernel ", op.kernel_h, " x ", op.kernel_w, "; allowed: > 0"));
    }
    if (!std::isfinite(op.flops_per_point) || op.flops_per_point < 0) {
      return refuse(str_cat("FLOPs per point are ", op.flops_per_point, "; allowed: >= 0"));
    }
  }
  for (const Operator& op : ops) {
    if (Status status = check_tensors(op, ops, weights); !status) {
      return bad_input(str_cat("operator '", op.name, "': ", status.error().message));
    }
  }
  return ok();
}

Status check_weights(const IdVector<OpId, Operator>& ops,
                     const IdVector<WeightId, Weight>& weights) {
  std::vector<bool> used(weights.size(), false);
  for (const Operator& op : ops) {
    for (const WeightUse& use : op.weights) used[use.weight.index()] = true;
  }
  for (const WeightId id : weights.ids()) {
    const Weight& weight = weights[id];
    if (!used[id.index()]) {
      return bad_input(str_cat("weight '", weight.name, "' is used by no operator"));
    }
    if (weight.shape.empty() || weight.shape.size() > kMaxDims) {
      return bad_input(str_cat("weight '", weight.name, "' has rank ", weight.shape.size(),
                               "; allowed: 1 to ", kMaxDims));
    }
    if (weight.gradient_rows < 0 || weight.gradient_rows > weight.shape[0]) {
      return bad_input(str_cat("weight '", weight.name, "' has ", weight.gradient_rows,
                               " rows of a gradient; allowed: 0 to ", weight.shape[0]));
    }
    double parameters = 1;
    for (const int64_t size : weight.shape) {
      parameters *= static_cast<double>(size);
      if (size < 1 || parameters > kMaxElements) {
        return bad_input(str_cat("weight '", weight.name, "' has an axis of size ", size));
      }
    }
  }
  return ok();
}

// Vertices are operators, edges lead from consumer to producer.
using Reads = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;

// Depth-first over what operators read, in order of number: producers finish before consumers, and
// operators already in order finish in that order. A back edge closes a cycle.
class TopologicalOrder : public boost::default_dfs_visitor {
 public:
  TopologicalOrder(std::vector<size_t>& order, std::vector<size_t>& cycle)
      : order_(&order), cycle_(&cycle) {}

  void discover_vertex(size_t vertex, const Reads&) { path_.push_back(vertex); }
  void finish_vertex(size_t vertex, const Reads&) {
    path_.pop_back();
    order_->push_back(vertex);
  }
  void back_edge(const Reads::edge_descriptor& edge, const Reads& graph) {
    if (!cycle_->empty()) return;
    const auto first = std::find(path_.begin(), path_.end(), target(edge, graph));
    cycle_->assign(first, path_.end());
  }

 private:
  std::vector<size_t>* order_;
  std::vector<size_t>* cycle_;
  std::vector<size_t> path_;  // from the root to the vertex being visited
};

Result<std::vector<size_t>> topological_order(const IdVector<OpId, Operator>& ops) {
  Reads reads(ops.size());
  for (const OpId consumer : ops.ids()) {
    for (const Input& input : ops[consumer].inputs) {
      add_edge(consumer.index(), input.producer.index(), reads);
    }
  }
  std::vector<size_t> order;
  std::vector<size_t> cycle;
  boost::depth_first_search(reads, boost::visitor(TopologicalOrder(order, cycle)));
  if (cycle.empty()) return order;
  // Along the data: the first operator of the path, then what reads it, back to the first.
  const auto name = [&](size_t i) {
    return str_cat("'", ops[OpId::from_index(cycle[i])].name, "'");
  };
  std::string text = "operators feed each other in a cycle: " + name(0);
  for (size_t i = cycle.size(); i-- > 0;) text += " -> " + name(i);
  return bad_input(std::move(text));
}

IdVector<OpId, Operator> reorder(IdVector<OpId, Operator> ops, const std::vector<size_t>& order) {
  IdVector<OpId, OpId> new_id(ops.size());
  for (size_t i = 0; i < order.size(); ++i) {
    new_id[OpId::from_index(order[i])] = OpId::from_index(i);
  }
  IdVector<OpId, Operator> sorted;
  sorted.reserve(ops.size());
  for (const size_t old : order) {
    Operator& op = ops[OpId::from_index(old)];
    for (Input& input : op.inputs) input.producer = new_id[input.producer];
    sorted.push_back(std::move(op));
  }
  return sorted;
}

}  // namespace

Result<OpGraph> OpGraph::make(IdVector<OpId, Operator> ops, IdVector<WeightId, Weight> weights) {
  if (Status status = check_ops(ops, weights); !status) return status.error();
  if (Status status = check_weights(ops, weights); !status) return status.error();
  Result<std::vector<size_t>> order = topological_order(ops);
  if (!order) return order.error();

  OpGraph graph;
  graph.ops_ = reorder(std::move(ops), *order);
  graph.weights_ = std::move(weights);
  graph.in_edges_.resize(graph.ops_.size());
  graph.out_edges_.resize(graph.ops_.size());
  graph.users_.resize(graph.weights_.size());
  graph.depth_.resize(graph.ops_.size());
  for (const OpId id : graph.ops_.ids()) {
    Operator& op = graph.ops_[id];
    op.needs_input_gradient = false;
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      const OpId producer = op.inputs[i].producer;
      const EdgeId edge = graph.edges_.push_back({producer, id, static_cast<uint32_t>(i)});
      graph.in_edges_[id].push_back(edge);
      graph.out_edges_[producer].push_back(edge);
      graph.depth_[id] = std::max(graph.depth_[id], graph.depth_[producer] + 1);
      const Operator& source = graph.ops_[producer];
      if (source.needs_input_gradient || !source.weights.empty()) op.needs_input_gradient = true;
    }
    for (const WeightUse& use : op.weights) {
      std::vector<OpId>& users = graph.users_[use.weight];
      if (users.empty() || users.back() != id) users.push_back(id);
    }
  }
  return graph;
}

std::span<const EdgeId> OpGraph::in_edges(OpId op) const {
  return in_edges_[op];
}
std::span<const EdgeId> OpGraph::out_edges(OpId op) const {
  return out_edges_[op];
}
std::span<const OpId> OpGraph::users(WeightId weight) const {
  return users_[weight];
}

int64_t OpGraph::parameter_count() const {
  int64_t count = 0;
  for (const Weight& weight : weights_) count += weight.parameter_count();
  return count;
}

Flops OpGraph::forward_flops() const {
  Flops flops;
  for (const Operator& op : ops_) flops += op.forward_flops();
  return flops;
}

}  // namespace soapbox
