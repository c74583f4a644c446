// LayerWork: what one rank does of one layer for one micro-batch: kernels, and exchanges with the
// other ranks that share the layer, in order.
//
// With T tokens of the micro-batch on a rank (its share of the context), width h and t tensor ranks
// (Shoeybi et al. 2019; Korthikanti et al. 2022):
//
//   attention  norm, [enter], queries-keys-values (T x h)(h x 3h/t), attention over heads / t,
//              output (T x h/t)(h/t x h), [leave], residual
//   MLP        norm, [enter], (T x h)(h x f/t), activation, (T x f/t)(f/t x h), [leave], residual
//
// [leave] is an all-reduce of T h values; with sequence parallelism a reduce-scatter, and [enter]
// an all-gather. The backward pass mirrors them, and hides the exchange of an input gradient behind
// the product of the weight gradient that follows. Experts: tokens are sent to their experts' ranks
// and back (all-to-all), and each expert multiplies what it got. Context parallelism passes keys
// and values around a ring behind the attention.
//
// Bytes kept for the backward pass follow the same list (Korthikanti et al., section 4): with
// 16-bit values, no tensor parallelism and unfused attention they are s b h (34 + 5 a s / h).
// Linear layers in fp8 or fp4 keep their inputs as they were cast (Transformer Engine).
// Weight gradients need the inputs of the products and the gradients of their outputs alone, 32 s b
// h (Qi et al. 2024, section 3.1): what is held between a backward and a weight pass.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "sim/collective/algorithms.h"
#include "sim/cost/kernel.h"
#include "sim/model/transformer.h"
#include "sim/plan/parallel_plan.h"

namespace soapbox {

// Which ranks exchange.
enum class RankGroup : uint8_t { kTensor, kContext, kExpert };

struct Exchange {
  CollectiveOp op = CollectiveOp::kAllReduce;
  RankGroup group = RankGroup::kTensor;
  double bytes = 0;  // as collective.h counts them
  // How many of the kernels that follow run at the same time: it costs only what is left over.
  int32_t hidden_behind = 0;
  // Whether it can be cut up and interleaved with the product beside it (overlap_tensor).
  bool beside_product = false;
  int32_t copies = 1;  // of each value, for different ranks
};

struct Step {
  std::variant<Kernel, Exchange> what;
  bool weight_gradient = false;  // of the backward pass: nobody waits for it before the update
};

struct LayerWork {
  std::vector<Step> forward;
  std::vector<Step> recompute;  // of the forward pass, run again before the backward one
  std::vector<Step> backward;
  // Trained parameters of this rank before any sharding over data ranks.
  int64_t dense_parameters = 0;
  int64_t expert_parameters = 0;
  // Of a head that shares the embedding's table: the copy that a stage without the embedding has.
  int64_t tied_parameters = 0;
  // Kept from the forward to the backward pass, and held besides while the backward pass runs.
  int64_t kept_bytes = 0;
  int64_t transient_bytes = 0;
  // Of kept_bytes, what is held until the weight gradients where they are a pass of their own.
  int64_t weight_kept_bytes = 0;
  // The hidden vectors that go to the next layer, of this rank's tokens.
  int64_t output_bytes = 0;
};

// REQUIRES: check_parallel_plan() accepts the plan.
LayerWork make_layer_work(const TransformerLayer& layer, const LayerStrategy& strategy,
                          const ParallelPlan& plan);

}  // namespace soapbox
