// ParallelPlan: how a stack of Transformer layers is laid over a cluster.
//
// The devices form stages x (data x context x tensor) ranks; the device of pipeline rank p, data
// rank d, context rank c and tensor rank t is ((p D + d) C + c) T + t, so that tensor ranks are
// neighbours (Megatron's order). Expert ranks are carved out of the data ranks. Layers may differ
// in how their stage's devices are used (UniAP, Galvatron): each names one of `strategies`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/model/op.h"
#include "sim/model/transformer.h"

namespace soapbox {

// The order in which a stage runs the passes of its micro-batches.
//   kGPipe        all forwards, then all backwards (Huang et al. 2019)
//   k1F1B         one forward, one backward once the pipeline is full (PipeDream-flush)
//   kInterleaved  1F1B over several chunks of layers per stage (Narayanan et al. 2021)
//   kZb1p         1F1B with weight gradients apart, memory as 1F1B (Qi et al. 2024)
//   kZb2p         the same with up to twice the memory and no bubble where it fits
//   kZbV          two chunks per stage in the shape of a V
enum class PipelineSchedule : uint8_t { kGPipe, k1F1B, kInterleaved, kZb1p, kZb2p, kZbV };
std::string to_string(
    PipelineSchedule schedule);  // "gpipe", "1f1b", "interleaved", "zb1", "zb2", "zbv"
Result<PipelineSchedule> parse_schedule(std::string_view text);

// What the forward pass keeps for the backward one.
//   kNone       all activations
//   kSelective  all but the scores, softmax and dropout of unfused attention (Korthikanti et al.)
//   kFull       the layer's input alone
enum class Recompute : uint8_t { kNone, kSelective, kFull };
std::string to_string(Recompute recompute);
Result<Recompute> parse_recompute(std::string_view text);

// How the devices of a stage share one layer. tensor x context x data = devices of a stage.
struct LayerStrategy {
  int32_t tensor_parallel = 1;
  int32_t context_parallel = 1;
  int32_t data_parallel = 1;
  int32_t expert_parallel = 1;  // divides data x context
  // What the data ranks share: 0 nothing, 1 optimiser states, 2 and gradients, 3 and parameters
  // (FSDP).
  int32_t zero_stage = 0;
  // Ranks over which they do; 0: all data (x context) ranks. Less: hybrid sharding (HSDP).
  int32_t shard_group = 0;
  bool sequence_parallel = false;  // norms and dropouts split over the tensor ranks
  Recompute recompute = Recompute::kNone;
  friend bool operator==(const LayerStrategy&, const LayerStrategy&) = default;
};

// Which types tensors have. Master weights and the two moments of Adam are fp32 with the 16-bit
// types.
struct Precision {
  DataType compute = DataType::kBf16;    // operands of the matrix products: fp32, tf32, bf16, fp16;
                                         // fp8 and fp4 in the blocks' linear layers, bf16 elsewhere
  DataType gradients = DataType::kFp32;  // as accumulated and reduced
  DataType parameters = DataType::kBf16;
  friend bool operator==(const Precision&, const Precision&) = default;
};
Result<Precision> parse_precision(std::string_view text);

struct ParallelPlan {
  int32_t pipeline_parallel = 1;
  int32_t chunks_per_stage = 1;  // virtual stages of one device (vpp)
  PipelineSchedule schedule = PipelineSchedule::k1F1B;
  // Samples of one micro-batch on one data rank of the first of `strategies`; those with other
  // numbers of data ranks share the same micro-batch (samples_of).
  int64_t microbatch = 1;
  int64_t microbatches = 1;  // per iteration and data rank
  // First layer of each of the pipeline x chunks pieces in order of execution; ascending, first 0.
  std::vector<int32_t> chunk_begin = {0};
  std::vector<LayerStrategy> strategies = {{}};
  std::vector<uint16_t> strategy_of_layer;  // index into `strategies`; empty: all the first
  Precision precision;
  bool flash_attention = true;
  bool autocast = false;  // torch.autocast: what runs between blocks is fp32, products are not
  bool overlap_gradients = true;   // gradients are reduced while backward passes go on
  bool overlap_parameters = true;  // gathered parameters are fetched one layer ahead
  bool overlap_sends = true;       // a stage goes on while it sends to the next or the previous one
  // Collectives that gather one layer's sharded parameters, in equal pieces (zero 3).
  int32_t gathers_per_layer = 1;
  bool overlap_tensor = false;    // tensor-parallel traffic is hidden behind its products
  double expert_imbalance = 1.0;  // work of the busiest expert rank over the mean
  // A token goes to each node once, however many of its experts are there, and on to them within
  // the node; back likewise (DeepSeek-V3, section 3.2.2).
  bool dispatch_once_per_node = false;

  int32_t stage_count() const { return pipeline_parallel * chunks_per_stage; }  // virtual ones
  const LayerStrategy& strategy(size_t layer) const {
    return strategies[strategy_of_layer.empty() ? 0 : strategy_of_layer[layer]];
  }
  // Of one micro-batch on one data rank of a layer with this strategy.
  int64_t samples_of(const LayerStrategy& strategy) const {
    return microbatch * strategies.front().data_parallel / strategy.data_parallel;
  }
  friend bool operator==(const ParallelPlan&, const ParallelPlan&) = default;
};

// The chunks of `layers` with as equal numbers of blocks as can be: the first takes the embedding
// and the last the head besides.
std::vector<int32_t> even_chunks(const Transformer& model, int32_t chunks);

// Whether the plan fits the model and `device_count` devices. The error names the field, the value
// and what is allowed.
Status check_parallel_plan(const Transformer& model, const ParallelPlan& plan, size_t device_count);

}  // namespace soapbox
