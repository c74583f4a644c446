#include "scenarios/runner/parallel_options.h"

#include <array>

#include "scenarios/runner/model_files/model_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr std::array<ParallelRecipe, 3> kRecipes = {{
    {"deepspeed_zero", "data parallel with optimiser states and gradients sharded (ZeRO-2)", 2},
    {"fsdp", "fully sharded data parallel (ZeRO-3)", 3},
    {"megatron", "tensor, pipeline and data parallel as in Megatron-LM", 0},
}};

constexpr std::array<PlanSwitch, 6> kSwitches = {{
    {"dispatch-once-per-node", &ParallelPlan::dispatch_once_per_node},
    {"flash-attention", &ParallelPlan::flash_attention},
    {"overlap-gradients", &ParallelPlan::overlap_gradients},
    {"overlap-parameters", &ParallelPlan::overlap_parameters},
    {"overlap-sends", &ParallelPlan::overlap_sends},
    {"overlap-tensor", &ParallelPlan::overlap_tensor},
}};

// A degree, 1 where it is not given.
Result<int32_t> degree(const Arguments& arguments, std::string_view name, int64_t fallback = 1,
                       int64_t lowest = 1, int64_t highest = kMostDegree) {
  const auto value = arguments.whole_number(name, lowest, highest);
  if (!value) return value.error();
  return static_cast<int32_t>(value->value_or(fallback));
}

Status read_strategy(const Arguments& arguments, const ParallelRecipe& recipe, int64_t devices,
                     ParallelPlan& plan) {
  LayerStrategy& strategy = plan.strategies.front();
  const auto assign = [&](int32_t& field, Result<int32_t> value) -> Status {
    if (!value) return value.error();
    field = *value;
    return ok();
  };
  for (const auto& [field, name] :
       {std::pair{&strategy.tensor_parallel, "tp"}, std::pair{&plan.pipeline_parallel, "pp"},
        std::pair{&plan.chunks_per_stage, "vpp"}, std::pair{&strategy.context_parallel, "cp"},
        std::pair{&strategy.expert_parallel, "ep"}}) {
    if (Status read = assign(*field, degree(arguments, name)); !read) return read.error();
  }
  if (Status zero = assign(strategy.zero_stage, degree(arguments, "zero", recipe.zero_stage, 0, 3));
      !zero) {
    return zero.error();
  }
  if (Status group = assign(strategy.shard_group, degree(arguments, "shard-group", 0)); !group) {
    return group.error();
  }
  const int64_t model_ranks =
      int64_t{strategy.tensor_parallel} * plan.pipeline_parallel * strategy.context_parallel;
  if (devices % model_ranks != 0) {
    return usage_error(str_cat("--tp x --pp x --cp is ", model_ranks,
                               "; allowed: a divisor of the ", devices, " devices"));
  }
  strategy.data_parallel = static_cast<int32_t>(devices / model_ranks);
  const Result<bool> sequence = arguments.on_or_off("sequence-parallel", false);
  if (!sequence) return sequence.error();
  strategy.sequence_parallel = *sequence;
  const Result<Recompute> recompute = arguments.parsed("recompute", "none", parse_recompute);
  if (!recompute) return recompute.error();
  strategy.recompute = *recompute;
  return ok();
}

Status read_schedule(const Arguments& arguments, ParallelPlan& plan) {
  const bool chunked = plan.chunks_per_stage > 1;
  const Result<PipelineSchedule> schedule =
      arguments.parsed("schedule", chunked ? "interleaved" : "1f1b", parse_schedule);
  if (!schedule) return schedule.error();
  plan.schedule = *schedule;
  if (*schedule == PipelineSchedule::kZbV && !arguments.has("vpp")) plan.chunks_per_stage = 2;
  return ok();
}

}  // namespace

Result<double> read_expert_imbalance(const Arguments& arguments) {
  const auto imbalance = arguments.number("expert-imbalance", 1, 1e6);
  if (!imbalance) return imbalance.error();
  return imbalance->value_or(1);
}

namespace {

// Micro-batches per data rank. Without --global-batch there are four for each stage.
Result<int64_t> read_batch(const Arguments& arguments, ParallelPlan& plan) {
  const auto micro = arguments.whole_number("micro-batch", 1, kMostSamples);
  if (!micro) return micro.error();
  plan.microbatch = micro->value_or(1);
  const auto global = arguments.whole_number("global-batch", 1, kMostSamples);
  if (!global) return global.error();
  const int64_t together = plan.microbatch * plan.strategies.front().data_parallel;
  const int64_t stages = plan.pipeline_parallel;
  const int64_t batch = global->value_or(together * (stages > 1 ? 4 * stages : 1));
  if (batch % together != 0) {
    return usage_error(str_cat("--global-batch ", batch, "; allowed: a multiple of --micro-batch ",
                               plan.microbatch, " x ", plan.strategies.front().data_parallel,
                               " data ranks"));
  }
  plan.microbatches = batch / together;
  return batch;
}

}  // namespace

std::span<const PlanSwitch> plan_switches() {
  return kSwitches;
}

std::span<const ParallelRecipe> parallel_recipe_table() {
  return kRecipes;
}

const ParallelRecipe* find_parallel_recipe(std::string_view name) {
  for (const ParallelRecipe& recipe : kRecipes) {
    if (recipe.name == name) return &recipe;
  }
  return nullptr;
}

std::vector<Option> parallel_options() {
  return {
      {"tp", "N", "tensor-parallel ranks (default 1)"},
      {"pp", "N", "pipeline stages (default 1)"},
      {"vpp", "N", "chunks of layers per stage, for schedule interleaved (default 1)"},
      {"cp", "N", "context-parallel ranks (default 1)"},
      {"ep", "N", "expert-parallel ranks, taken from the data ranks (default 1)"},
      {"zero", "STAGE", "what data ranks shard: 0, 1, 2 or 3 (default: the recipe's)"},
      {"shard-group", "N", "ranks over which they shard it (default: all data ranks)"},
      {"sequence-parallel", "on|off", "split norms and dropouts over tensor ranks (default off)"},
      {"micro-batch", "N", "samples of a micro-batch on a data rank (default 1)"},
      {"global-batch", "N", "samples of an iteration (default: 4 micro-batches per stage)"},
      {"seq-len", "N", "tokens of a sample (default: the model's own)"},
      {"schedule", "NAME", "gpipe, 1f1b (default), interleaved, zb1, zb2 or zbv"},
      {"recompute", "WHAT", "none (default), selective or full"},
      {"precision", "TYPE", "bf16 (default), fp16, fp32, tf32, fp8 or fp4"},
      {"flash-attention", "on|off", "fused attention (default on)"},
      {"overlap-gradients", "on|off", "reduce gradients during backward passes (default on)"},
      {"overlap-parameters", "on|off", "gather parameters one layer ahead (default on)"},
      {"overlap-sends", "on|off", "go on computing while stages send (default on)"},
      {"overlap-tensor", "on|off", "hide tensor-parallel traffic behind products (default off)"},
      {"expert-imbalance", "X", "work of the busiest expert rank over the mean (default 1)"},
      {"dispatch-once-per-node", "on|off",
       "send each token to a node but once, as DeepEP does (default off)"},
      {"run-factors", "on|off", "what separates kernels alone from a training step (default on)"},
      {"fold", "on|off", "simulate one of each set of equivalent ranks (default on)"},
  };
}

Result<bool> read_fold(const Arguments& arguments) {
  return arguments.on_or_off("fold", true);
}

Result<bool> read_run_factors(const Arguments& arguments) {
  return arguments.on_or_off("run-factors", true);
}

Result<ParallelPlanChoice> read_parallel_plan(const Arguments& arguments,
                                              const ParallelRecipe& recipe,
                                              const Transformer& model, int64_t devices) {
  ParallelPlanChoice choice;
  ParallelPlan& plan = choice.plan;
  if (Status read = read_strategy(arguments, recipe, devices, plan); !read) return read.error();
  if (Status read = read_schedule(arguments, plan); !read) return read.error();
  const Result<Precision> precision = arguments.parsed("precision", "bf16", parse_precision);
  if (!precision) return precision.error();
  plan.precision = *precision;
  const Result<double> imbalance = read_expert_imbalance(arguments);
  if (!imbalance) return imbalance.error();
  plan.expert_imbalance = *imbalance;
  for (const PlanSwitch& each : plan_switches()) {
    const Result<bool> value = arguments.on_or_off(each.name, plan.*each.field);
    if (!value) return value.error();
    plan.*each.field = *value;
  }
  const Result<int64_t> batch = read_batch(arguments, plan);
  if (!batch) return batch.error();
  choice.global_batch = *batch;
  const int64_t stages = int64_t{plan.pipeline_parallel} * plan.chunks_per_stage;
  if (stages > model.block_count()) {
    return usage_error(str_cat("--pp x --vpp is ", stages, "; allowed: at most the ",
                               model.block_count(), " blocks of ", model.name));
  }
  plan.chunk_begin = even_chunks(model, plan.stage_count());
  const Status fits = check_parallel_plan(model, plan, static_cast<size_t>(devices));
  if (!fits) {
    const std::string& refusal = fits.error().message;  // micro-batches follow from the batch
    return usage_error(str_cat(refusal.starts_with("microbatches") ? "" : "--", refusal));
  }
  return choice;
}

}  // namespace soapbox::runner
