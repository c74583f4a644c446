#include "scenarios/runner/measured_runs/plan_of_run.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "scenarios/runner/measured_runs/model_of_run.h"
#include "scenarios/runner/measured_runs/run_wording.h"
#include "scenarios/runner/measured_runs/schedule_of_run.h"
#include "scenarios/runner/measured_runs/sharding_of_run.h"

namespace soapbox::runner {
namespace {

// Generations from Ampere on have bf16 and fused attention was written for them.
bool is_recent(std::string_view gpu) {
  const std::string text = lower_case(gpu);
  for (const std::string_view old : {"v100", "p100", "k80", "t4", "p4", "titan", "2080", "8000"}) {
    if (contains(text, old)) return false;
  }
  return true;
}

bool is_later_than_ampere(std::string_view gpu) {
  const std::string text = lower_case(gpu);
  for (const std::string_view ampere : {"a100", "a800", "ampere", "a10", "a6000", "3090"}) {
    if (contains(text, ampere)) return false;
  }
  return is_recent(gpu);
}

struct Degrees {
  int64_t tensor = 1;
  int64_t pipeline = 1;
  int64_t context = 1;
  int64_t data = 1;
  int64_t expert = 1;
  int64_t devices() const { return tensor * pipeline * context * data; }
};

// What shares everything over data ranks, or nothing between replicas, needs no other degree.
bool is_of_data_ranks(const MeasuredRun& run) {
  const std::string text = joined_numbers(run.zero_stage);
  return contains(text, "fsdp") || contains(text, "hsdp") || contains(text, "ddp") ||
         contains(text, "zero3") || contains(text, "horovod");
}

Result<Degrees> degrees_of(const MeasuredRun& run, Assumptions& assumptions) {
  const int64_t gpus = *run.num_gpus;
  const bool none_stated = !run.tp && !run.pp && !run.dp;
  if (none_stated && gpus > 1 && !is_of_data_ranks(run)) {
    return bad_input(
        "none of tp, pp and dp is stated, and zero_stage does not name data parallelism alone: the "
        "plan of the run is not known");
  }
  const auto degree = [&](std::string_view field, const std::optional<int64_t>& stated) {
    if (!stated) assumptions.add(field, 1, "not stated");
    return stated.value_or(1);
  };
  Degrees degrees;
  degrees.pipeline = degree("pp", run.pp);
  degrees.context = degree("cp", run.cp);
  degrees.tensor = degree("tp", run.tp);
  for (const int64_t one : {degrees.pipeline, degrees.context, degrees.tensor}) {
    if (one > gpus) {
      return bad_input(str_cat("a degree of ", one, " is more than the ", gpus, " GPUs"));
    }
  }
  const int64_t model_parallel = degrees.pipeline * degrees.context * degrees.tensor;
  if (!run.dp && gpus % model_parallel != 0) {
    return bad_input(
        str_cat("tp x pp x cp is ", model_parallel, " and does not divide the ", gpus, " GPUs"));
  }
  if (run.dp && *run.dp > gpus / model_parallel) {
    return bad_input(str_cat("tp x pp x cp x dp is ", model_parallel, " x ", *run.dp,
                             ", more than the ", gpus, " GPUs"));
  }
  degrees.data = run.dp.value_or(gpus / model_parallel);
  if (!run.dp) assumptions.add("dp", degrees.data, "not stated, by the number of GPUs");
  if (degrees.devices() != gpus) {
    assumptions.add("devices", degrees.devices(), str_cat("tp x pp x cp x dp, of ", gpus, " GPUs"));
  }
  return degrees;
}

bool has_experts(const Transformer& model) {
  return std::any_of(model.layers.begin(), model.layers.end(),
                     [](const TransformerLayer& layer) { return layer.mlp.experts > 0; });
}

// The strategy of blocks without experts, where only some have them.
void set_dense_blocks(const Transformer& model, ParallelPlan& plan) {
  if (plan.strategies.front().expert_parallel == 1) return;
  plan.strategy_of_layer.assign(model.layers.size(), 0);
  plan.strategies.push_back(plan.strategies.front());
  plan.strategies.back().expert_parallel = 1;
  for (size_t layer = 0; layer < model.layers.size(); ++layer) {
    if (model.layers[layer].mlp.experts == 0) plan.strategy_of_layer[layer] = 1;
  }
}

// Experts are carved out of data and context ranks. What goes over tensor ranks besides shards
// each expert as tensor parallelism does.
int64_t expert_degree(const MeasuredRun& run, const Transformer& model, const Degrees& degrees,
                      Assumptions& assumptions) {
  if (!has_experts(model)) return 1;
  if (!run.ep) {
    assumptions.add("ep", 1, "not stated");
    return 1;
  }
  const int64_t expert = std::gcd(*run.ep, degrees.data * degrees.context);
  if (expert != *run.ep) {
    assumptions.add("ep", expert, str_cat("of ", *run.ep, ", which goes over tensor ranks"));
  }
  return expert;
}

// LLM Foundry's tables of 2023 are of its Triton FlashAttention. PyTorch has the second generation;
// its own sharding goes by the names of its strategies.
AttentionLibrary attention_library(const MeasuredRun& run) {
  if (contains(run.source, "llm-foundry")) return AttentionLibrary::kFlash1;
  const std::string attention = lower_case(run.flash_attention);
  const bool second = contains(attention, "sdpa") || contains(attention, "v2") ||
                      contains(run.zero_stage, "FULL_SHARD") ||
                      contains(run.zero_stage, "SHARD_GRAD_OP") ||
                      contains(run.zero_stage, "HYBRID_SHARD");
  return second ? AttentionLibrary::kFlash2 : AttentionLibrary::kVendor;
}

bool has_transformer_engine(const MeasuredRun& run) {
  return contains(lower_case(run.zero_stage), "megatron") ||
         contains(run.zero_stage, "distributed optimizer") ||
         contains(run.source, "functional_tests");
}

// DeepSpeed's buckets for gathering and for reducing hold 5e8 elements each by default, of two
// bytes.
constexpr Bytes kDeepSpeedBuckets(int64_t{2} * 2 * 500'000'000);
// It gathers tensor by tensor: weights and biases of four matrices and two norms.
constexpr int32_t kDeepSpeedGathers = 12;

// BigScience's Megatron copies the fp32 logits before its cross entropy works on them in place
// (bigscience-workshop/Megatron-DeepSpeed, pull request 155). Where the loss is fused with the head
// (Liger Kernel, Hsu et al. 2024), there are neither the 16-bit logits nor the fp32 ones.
Bytes other_logits(const MeasuredRun& run, const Transformer& model, const ParallelPlan& plan) {
  constexpr int64_t kFp32Bytes = 4;
  const LayerStrategy& strategy = plan.strategies.front();
  const int64_t values = plan.microbatch * model.seq_len * model.layers.back().vocab /
                         (int64_t{strategy.tensor_parallel} * strategy.context_parallel);
  const std::string notes = lower_case(run.notes);
  if (contains(notes, "fused cross entropy") || contains(notes, "fused linear cross entropy")) {
    return Bytes(-(kFp32Bytes + size_bytes(plan.precision.parameters)) * values);
  }
  return contains(run.source, "bigscience") ? Bytes(kFp32Bytes * values) : Bytes();
}

// Everything is in 16 bits: no fp32 master weight, and moments as the parameters.
bool is_pure_16bit(const MeasuredRun& run) {
  const std::string text = lower_case(run.precision);
  const std::string notes = lower_case(run.notes);
  return contains(text, "pure") || contains(text, "16-true") || contains(text, "moments") ||
         contains(notes, "full bf16") || contains(notes, "pure bf16");
}

// What Adam keeps on the device, of the fp32 master weight and two fp32 moments: with moments of 8
// bits (Dettmers et al. 2022) 4 + 2 bytes of 12.
double optimizer_share(const MeasuredRun& run, Assumptions& assumptions) {
  const std::string notes = lower_case(run.notes);
  if (contains(notes, "no optimizer step")) return 0;
  if (contains(notes, "offload") && (contains(notes, "optimizer") || contains(notes, "adam"))) {
    assumptions.add("optimizer", "host", "offloaded; what its update takes there is not simulated");
    return 0;
  }
  if (is_pure_16bit(run)) return 4.0 / 12;
  return contains(notes, "8-bit optimizer") ? 0.5 : 1;
}

// torchtitan's selective checkpointing of operators keeps what attention and every second product
// give: about half of what a layer keeps and computes is done again.
bool every_second_product(const MeasuredRun& run) {
  const std::string text = lower_case(run.recompute);
  const std::string notes = lower_case(run.notes);
  const bool of_operators = contains(text, "per-op") || contains(text, "per op") ||
                            contains(text, "sac") || contains(notes, "per-op sac") ||
                            contains(notes, "per op sac") || contains(run.source, "torchtitan") ||
                            contains(notes, "torchtitan");
  return text.starts_with("selective") && of_operators;
}

// Gives what may be recomputed where the run does not say. Frameworks recompute nothing unless
// told; the tuned recipes of later GPUs are told where they must, and where attention is not fused,
// its scores are what is dropped first.
Recompute set_recompute(const MeasuredRun& run, bool fused_attention, LayerStrategy& strategy,
                        Assumptions& assumptions) {
  const std::string text = lower_case(run.recompute);
  if (every_second_product(run)) return Recompute::kFull;
  // Some layers, or modules that hold most of what a layer keeps.
  if (contains(text, "some blocks")) return Recompute::kFull;
  if (text == "selective" && contains(run.notes, "recomputes") && contains(run.notes, "mlp")) {
    return Recompute::kFull;
  }
  if (text.empty() && is_later_than_ampere(run.gpu)) return Recompute::kFull;
  if (text.empty() && !fused_attention) return Recompute::kSelective;
  if (text.starts_with("full")) {
    strategy.recompute = Recompute::kFull;
  } else if (text.starts_with("selective")) {
    strategy.recompute = Recompute::kSelective;
  } else if (contains(text, "except_mlp")) {
    strategy.recompute = Recompute::kFull;
    assumptions.add("recompute", "full", "the nearest to what is stated");
  } else if (text.empty()) {
    assumptions.add("recompute", "none", "not stated, as frameworks do unless told");
  } else if (contains(text, "full") || says_yes(text)) {
    strategy.recompute = Recompute::kFull;
  } else if (!says_no(text)) {
    assumptions.add("recompute", "none", str_cat("'", shown(run.recompute), "' is not understood"));
  }
  return Recompute::kNone;
}

Precision precision_of(const MeasuredRun& run, Assumptions& assumptions) {
  struct Name {
    std::string_view text;
    DataType compute;
    DataType storage;
  };
  // The first that is in the text: "bfloat16" comes before "float16".
  constexpr std::array kNames = {
      Name{"fp4", DataType::kFp4, DataType::kBf16},
      Name{"float4", DataType::kFp4, DataType::kBf16},
      Name{"fp8", DataType::kFp8, DataType::kBf16},
      Name{"float8", DataType::kFp8, DataType::kBf16},
      Name{"e4m3", DataType::kFp8, DataType::kBf16},
      Name{"bf16", DataType::kBf16, DataType::kBf16},
      Name{"bfloat16", DataType::kBf16, DataType::kBf16},
      Name{"fp16", DataType::kFp16, DataType::kFp16},
      Name{"float16", DataType::kFp16, DataType::kFp16},
      Name{"half", DataType::kFp16, DataType::kFp16},
      Name{"16-mixed", DataType::kFp16, DataType::kFp16},
      Name{"tf32", DataType::kTf32, DataType::kFp32},
      Name{"fp32", DataType::kFp32, DataType::kFp32},
      Name{"float32", DataType::kFp32, DataType::kFp32},
  };
  const std::string text = lower_case(run.precision);
  const Name* found = nullptr;
  for (const Name& name : kNames) {
    if (found == nullptr && contains(text, name.text)) found = &name;
  }
  if (found == nullptr) {
    const std::string_view usual = is_recent(run.gpu) ? "bf16" : "fp16";
    found = std::find_if(kNames.begin(), kNames.end(),
                         [&](const Name& name) { return name.text == usual; });
    assumptions.add("precision", found->text,
                    text.empty() ? std::string("not stated, usual for the GPU")
                                 : str_cat("'", shown(run.precision), "' is not understood"));
  }
  Precision precision{found->compute, DataType::kFp32, found->storage};
  // Gradients as they are accumulated: FSDP reduces them as they are computed, DDP too.
  const std::string zero = lower_case(run.zero_stage);
  const bool plain = contains(zero, "ddp") || contains(zero, "horovod");
  if (found->storage == DataType::kFp16 && plain) precision.gradients = DataType::kFp16;
  if (contains(run.notes, "MP mode PURE") || is_pure_16bit(run)) {
    precision.gradients = found->storage;
  }
  // NVIDIA's tuned recipes (NeMo, Megatron-Bridge) set grad_reduce_in_fp32 to false.
  if (contains(zero, "megatron")) precision.gradients = found->storage;
  return precision;
}

bool fused_attention(const MeasuredRun& run, const LayerStrategy& strategy, DataType compute,
                     Assumptions& assumptions) {
  const std::string text = lower_case(run.flash_attention);
  if (says_yes(text)) return true;
  if (says_no(text)) return false;
  if (contains(lower_case(run.notes), "transformer engine")) {
    assumptions.add("flash_attention", "yes", "Transformer Engine has it");
    return true;
  }
  // Ampere's frameworks began without it; long samples do not fit otherwise; context ranks and
  // Megatron's FSDP have no other. Megatron-LM's functional tests ask for unfused attention.
  constexpr int64_t kLongSample = 4096;
  const bool sharded = strategy.context_parallel > 1 || strategy.zero_stage == 3;
  const bool later = is_later_than_ampere(run.gpu) && !contains(run.source, "functional_tests");
  const bool fused = compute != DataType::kFp32 && is_recent(run.gpu) &&
                     (later || sharded || run.seq_len.value_or(0) > kLongSample);
  assumptions.add("flash_attention", fused ? "yes" : "no", "not stated, usual for the GPU");
  return fused;
}

struct Batch {
  int64_t micro = 1;
  int64_t count = 1;  // micro-batches of one data rank
};

Result<Batch> batch_of(const MeasuredRun& run, const Degrees& degrees, Assumptions& assumptions) {
  Batch batch;
  const int64_t data = degrees.data;
  if (run.micro_batch) {
    batch.micro = *run.micro_batch;
  } else if (run.global_batch && run.grad_accum &&
             *run.global_batch % (data * *run.grad_accum) == 0) {
    batch.micro = *run.global_batch / (data * *run.grad_accum);
    assumptions.add("micro_batch", batch.micro, "not stated, global_batch / (dp x grad_accum)");
  } else {
    assumptions.add("micro_batch", 1, "not stated");
  }
  if (run.global_batch) {
    const int64_t together = batch.micro * data;
    batch.count = (*run.global_batch + together - 1) / together;
    if (*run.global_batch % together != 0) {
      assumptions.add(
          "global_batch", batch.count * together,
          str_cat("a multiple of micro_batch x dp; the run states ", *run.global_batch));
    }
    return batch;
  }
  // Enough micro-batches to fill a pipeline.
  batch.count = run.grad_accum.value_or(degrees.pipeline == 1 ? 1 : 4 * degrees.pipeline);
  assumptions.add("global_batch", batch.count * batch.micro * data,
                  run.grad_accum ? "not stated, micro_batch x dp x grad_accum" : "not stated");
  return batch;
}

// Runs of Megatron Core with its distributed optimiser overlap what they can; its predecessors did
// not, and frameworks of data parallelism always do.
void set_overlap(const MeasuredRun& run, ParallelPlan& plan, Assumptions& assumptions) {
  const LayerStrategy& strategy = plan.strategies.front();
  const std::string notes = lower_case(run.notes);
  const bool core = strategy.zero_stage == 1 && !contains(lower_case(run.zero_stage), "hybrid");
  const bool data_alone = strategy.tensor_parallel == 1 && plan.pipeline_parallel == 1;
  plan.overlap_gradients = core || data_alone || strategy.zero_stage > 1;
  if (contains(notes, "overlap_grad_reduce=false")) plan.overlap_gradients = false;
  if (contains(notes, "overlap_grad_reduce=true") || contains(notes, "overlap-grad-reduce")) {
    plan.overlap_gradients = true;
  }
  plan.overlap_parameters = plan.overlap_gradients;
  plan.overlap_tensor =
      strategy.sequence_parallel && (contains(notes, "tp-comm-overlap on") ||
                                     contains(run.zero_stage, "Megatron distributed optimizer"));
  if (strategy.data_parallel > 1) {
    assumptions.add("overlap_gradients", plan.overlap_gradients ? "yes" : "no",
                    "usual for the framework");
  }
  if (strategy.tensor_parallel > 1) {
    assumptions.add("overlap_tensor", plan.overlap_tensor ? "yes" : "no",
                    "usual for the framework");
  }
}

bool sequence_parallel(const MeasuredRun& run, const Degrees& degrees, Assumptions& assumptions) {
  if (degrees.tensor == 1) return false;
  const std::string text = lower_case(run.sequence_parallel);
  if (says_yes(text)) return true;
  if (says_no(text)) return false;
  const bool split = contains(run.zero_stage, "distributed optimizer");
  assumptions.add("sequence_parallel", split ? "yes" : "no", "not stated, usual for the framework");
  return split;
}

// Whether the run is of a size that a simulation is for: beyond, cells are slips of the pen.
Status check_size(const Transformer& model, const ParallelPlan& plan) {
  constexpr double kMostLayerPasses = 5e6;      // of one data rank in an iteration
  constexpr double kMostFlopsPerDevice = 2e18;  // days on any device
  constexpr double kMostTensorBytes = 1e13;
  constexpr int64_t kMostParameters = 100'000'000'000'000;
  const double passes = double(model.layers.size()) * double(plan.microbatches);
  if (passes > kMostLayerPasses) {
    return bad_input(str_cat(model.layers.size(), " layers x ", plan.microbatches,
                             " micro-batches are too many to simulate"));
  }
  if (model.parameter_count() > kMostParameters) {
    return bad_input(str_cat("a model of ", model.parameter_count(), " parameters is too large"));
  }
  double width = 0;
  for (const TransformerLayer& layer : model.layers) {
    width = std::max({width, double(layer.hidden), double(layer.vocab), double(layer.mlp.hidden)});
  }
  const double tokens = double(plan.microbatch) * double(model.seq_len);
  if (tokens * width * 4 > kMostTensorBytes) {
    return bad_input(str_cat("a micro-batch of ", plan.microbatch, " x ", model.seq_len,
                             " tokens is too large"));
  }
  const double samples = double(plan.microbatch) * double(plan.microbatches);
  const LayerStrategy& strategy = plan.strategies.front();
  const double sharing =
      double(strategy.tensor_parallel) * strategy.context_parallel * plan.pipeline_parallel;
  if (model.model_flops_per_sample() * samples / sharing > kMostFlopsPerDevice) {
    return bad_input("an iteration would take days");
  }
  return ok();
}

}  // namespace

Result<RunPlan> plan_of_run(const MeasuredRun& run, const Transformer& model, int64_t gpus_per_node,
                            Assumptions& assumptions) {
  if (trains_adapters(run)) {
    return bad_input("training of adapters beside frozen weights (LoRA) is not simulated");
  }
  const Result<Degrees> degrees = degrees_of(run, assumptions);
  if (!degrees) return degrees.error();
  const Result<Batch> batch = batch_of(run, *degrees, assumptions);
  if (!batch) return batch.error();

  RunPlan result;
  ParallelPlan& plan = result.plan;
  plan.pipeline_parallel = static_cast<int32_t>(degrees->pipeline);
  plan.microbatch = batch->micro;
  plan.microbatches = batch->count;
  LayerStrategy& strategy = plan.strategies.front();
  strategy.tensor_parallel = static_cast<int32_t>(degrees->tensor);
  strategy.context_parallel = static_cast<int32_t>(degrees->context);
  strategy.data_parallel = static_cast<int32_t>(degrees->data);
  strategy.expert_parallel = static_cast<int32_t>(expert_degree(run, model, *degrees, assumptions));
  strategy.sequence_parallel = sequence_parallel(run, *degrees, assumptions);
  set_sharding(run, model, gpus_per_node, strategy, assumptions);
  result.sharding_unsaid = run.zero_stage.empty() && strategy.zero_stage == 0;
  result.sequence_unsaid = run.sequence_parallel.empty() && strategy.tensor_parallel > 1;
  if (is_deepspeed(run)) {
    result.communication_buffers = kDeepSpeedBuckets;
    plan.gathers_per_layer = kDeepSpeedGathers;
  }
  plan.precision = precision_of(run, assumptions);
  plan.flash_attention = fused_attention(run, strategy, plan.precision.compute, assumptions);
  result.recompute_up_to = set_recompute(run, plan.flash_attention, strategy, assumptions);
  if (every_second_product(run)) result.recompute_least = 0.5;
  plan.autocast = contains(run.notes, "amp_");
  // Its recipes send tokens by DeepEP or HybridEP.
  plan.dispatch_once_per_node = contains(run.source, "Megatron-Bridge");
  result.other_logits = other_logits(run, model, plan);
  result.optimizer_share = optimizer_share(run, assumptions);
  result.no_update = contains(run.notes, "no optimizer step");
  result.attention = attention_library(run);
  result.transformer_engine = has_transformer_engine(run);
  set_dense_blocks(model, plan);
  const Status size = check_size(model, plan);
  if (!size) return size.error();
  const Status schedule = set_schedule(run, model, plan, assumptions);
  if (!schedule) return schedule.error();
  set_overlap(run, plan, assumptions);
  if (contains(run.sequence_parallel, "HP") && !contains(run.sequence_parallel, "HP1/")) {
    assumptions.add("context_parallel", "ring", "the nearest to all-to-all over heads");
  }
  if (contains(run.sequence_parallel, "Ulysses")) {
    assumptions.add("context_parallel", "ring", "the nearest to Ulysses");
  }
  result.devices = degrees->devices();
  result.global_batch = batch->micro * batch->count * degrees->data;
  return result;
}

}  // namespace soapbox::runner
