#include "strategies/neighbourhood.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>

namespace soapbox::strategies {

Neighbourhood::Neighbourhood(const OpGraph& graph, size_t device_count)
    : graph_(graph), space_(graph, device_count) {
  std::map<std::tuple<std::string_view, OpKind, size_t>, size_t> layers;
  std::map<std::tuple<OpKind, size_t>, size_t> alike;
  for (const OpId id : graph.ops().ids()) {
    const Operator& op = graph.op(id);
    const std::string_view layer = op.layer.empty() ? op.name : op.layer;
    const size_t shape = space_.shape(id);
    const size_t in_layer =
        layers.try_emplace({layer, op.kind, shape}, layers_.size()).first->second;
    if (in_layer == layers_.size()) layers_.emplace_back();
    layers_[in_layer].push_back(id);
    layer_of_.push_back(in_layer);
    const size_t in_alike = alike.try_emplace({op.kind, shape}, alike_.size()).first->second;
    if (in_alike == alike_.size()) alike_.emplace_back();
    alike_[in_alike].push_back(id);
    alike_of_.push_back(in_alike);
  }
  neighbours_.resize(graph.ops().size());
  for (const Edge& edge : graph.edges()) {
    if (graph.op(edge.producer).kind == OpKind::kInput) continue;
    neighbours_[edge.producer].push_back(edge.consumer);
    neighbours_[edge.consumer].push_back(edge.producer);
  }
  for (std::vector<OpId>& list : neighbours_) std::sort(list.begin(), list.end());
}

}  // namespace soapbox::strategies
