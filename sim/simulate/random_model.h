// For tests: random operator graphs, small enough that every way of splitting them occurs.
#pragma once

#include <string>
#include <utility>

#include "sim/base/rng.h"
#include "sim/model/graph.h"

namespace soapbox {

// Three to ten operators on samples x channels. An operator reads one or two earlier ones: whole,
// along its own piece, or with a halo; some have weights, which some share; some are inputs.
inline Model random_model(Rng& rng) {
  constexpr int64_t kSamples = 12;
  constexpr int64_t kChannels = 24;
  IdVector<WeightId, Weight> weights;
  for (const char* name : {"a", "b", "c"}) {
    weights.push_back({name, {kChannels, kChannels}, DataType::kFp32});
  }
  IdVector<OpId, Operator> ops;
  const uint32_t count = 3 + rng.below(8);
  for (uint32_t i = 0; i < count; ++i) {
    Operator op;
    op.name = "op" + std::to_string(i);
    const bool is_input = i == 0 || rng.below(8) == 0;
    const bool is_linear = !is_input && rng.below(2) == 0;
    op.kind = is_input ? OpKind::kInput : is_linear ? OpKind::kLinear : OpKind::kElementwise;
    op.dims = {
        {"sample", kSamples, DimClass::kSample, true},
        {"channel", kChannels, is_linear ? DimClass::kParameter : DimClass::kAttribute, true}};
    op.output_rank = 2;
    op.flops_per_point = is_linear ? 2 : 1;
    if (is_linear) {
      op.dims.push_back({"in_channel", kChannels, DimClass::kReduction, true});
      // Every weight has a user.
      const WeightId weight(i <= 3 ? i - 1 : rng.below(3));
      op.weights = {{weight, {AxisMap::follow(1), AxisMap::follow(2)}}};
    }
    const uint32_t inputs = is_input ? 0 : 1 + rng.below(2);
    for (uint32_t k = 0; k < inputs; ++k) {
      const AxisMap channel = is_linear           ? AxisMap::follow(2)
                              : rng.below(3) == 0 ? AxisMap::whole()
                              : rng.below(2) == 0 ? AxisMap::window(1, 1, 3, 1)
                                                  : AxisMap::follow(1);
      const AxisMap sample = rng.below(8) == 0 ? AxisMap::whole() : AxisMap::follow(0);
      op.inputs.push_back({OpId(rng.below(i)), {sample, channel}});
    }
    op.needs_input_gradient = !is_input && rng.below(4) > 0;
    ops.push_back(std::move(op));
  }
  // Weights that nobody uses are given to operators of their own.
  for (const WeightId weight : weights.ids()) {
    bool used = false;
    for (const Operator& op : ops) used |= !op.weights.empty() && op.weights[0].weight == weight;
    if (used) continue;
    Operator op;
    op.name = "user" + std::to_string(weight.value());
    op.kind = OpKind::kLinear;
    op.dims = {{"sample", kSamples, DimClass::kSample, true},
               {"channel", kChannels, DimClass::kParameter, true},
               {"in_channel", kChannels, DimClass::kReduction, true}};
    op.output_rank = 2;
    op.flops_per_point = 2;
    op.inputs = {{OpId(0), {AxisMap::follow(0), AxisMap::follow(2)}}};
    op.weights = {{weight, {AxisMap::follow(1), AxisMap::follow(2)}}};
    op.needs_input_gradient = false;
    ops.push_back(std::move(op));
  }
  return {"random", kSamples, *OpGraph::make(std::move(ops), std::move(weights))};
}

}  // namespace soapbox
