#include "scenarios/runner/measured_runs/plan_of_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/runner/measured_runs/model_of_run.h"

namespace soapbox::runner {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

MeasuredRun gpt(int64_t gpus) {
  MeasuredRun run;
  run.id = "X-1";
  run.model = "gpt3-175b";
  run.gpu = "A100-SXM";
  run.num_gpus = gpus;
  run.seq_len = 2048;
  run.flash_attention = "no";
  run.precision = "fp16";
  run.recompute = "full";
  run.zero_stage = "none";
  return run;
}

struct Answer {
  std::string reason;
  RunPlan plan;
  std::vector<std::string> assumptions;
};
Answer answer(const MeasuredRun& run) {
  Assumptions assumptions;
  const Result<Transformer> model = model_of_run(run, assumptions);
  if (!model) return {model.error().to_string(), {}, {}};
  const Result<RunPlan> plan = plan_of_run(run, *model, 8, assumptions);
  if (!plan) return {plan.error().to_string(), {}, {}};
  const Status fits = check_parallel_plan(*model, plan->plan, static_cast<size_t>(plan->devices));
  EXPECT_TRUE(fits) << fits.error().to_string();
  return {"", *plan, assumptions.list()};
}

TEST(PlanOfRun, DegreesBatchAndScheduleAreThoseOfTheRun) {
  MeasuredRun run = gpt(64);
  run.tp = 8;
  run.pp = 4;
  run.dp = 2;
  run.cp = 1;
  run.vpp = "3";
  run.micro_batch = 2;
  run.global_batch = 64;
  run.sequence_parallel = "yes";
  const Answer got = answer(run);
  ASSERT_EQ(got.reason, "");
  const ParallelPlan& plan = got.plan.plan;
  EXPECT_EQ(plan.strategies.front().tensor_parallel, 8);
  EXPECT_EQ(plan.strategies.front().data_parallel, 2);
  EXPECT_TRUE(plan.strategies.front().sequence_parallel);
  EXPECT_EQ(plan.strategies.front().recompute, Recompute::kFull);
  EXPECT_EQ(plan.schedule, PipelineSchedule::kInterleaved);
  EXPECT_EQ(plan.chunks_per_stage, 3);
  EXPECT_EQ(plan.microbatch, 2);
  EXPECT_EQ(plan.microbatches, 16);
  EXPECT_EQ(plan.precision.compute, DataType::kFp16);
  EXPECT_EQ(got.plan.global_batch, 64);
  EXPECT_EQ(got.plan.recompute_up_to, Recompute::kNone);
}

TEST(PlanOfRun, EmptyCellsAreDerivedOrAssumedAloud) {
  MeasuredRun run = gpt(64);
  run.tp = 8;
  run.global_batch = 64;
  run.grad_accum = 4;
  run.recompute = "";
  run.gpu = "H100-SXM";
  const Answer got = answer(run);
  ASSERT_EQ(got.reason, "");
  EXPECT_EQ(got.plan.plan.strategies.front().data_parallel, 8);
  EXPECT_EQ(got.plan.plan.microbatch, 2);
  EXPECT_EQ(got.plan.recompute_up_to, Recompute::kFull);
  EXPECT_THAT(got.assumptions, Contains("dp=8: not stated, by the number of GPUs"));
  EXPECT_THAT(got.assumptions, Contains("pp=1: not stated"));
  EXPECT_THAT(got.assumptions,
              Contains("micro_batch=2: not stated, global_batch / (dp x grad_accum)"));
}

TEST(PlanOfRun, WhatAmpereRunsDoNotSayIsAsFrameworksWereThen) {
  MeasuredRun run = gpt(8);
  run.tp = 8;
  run.recompute = "";
  run.flash_attention = "";
  run.seq_len = 1024;
  const Answer brief = answer(run);
  EXPECT_EQ(brief.plan.recompute_up_to, Recompute::kSelective);
  EXPECT_FALSE(brief.plan.plan.flash_attention);
  run.seq_len = 32768;
  EXPECT_TRUE(answer(run).plan.plan.flash_attention);
  EXPECT_EQ(answer(run).plan.recompute_up_to, Recompute::kNone);
  run.gpu = "H100-SXM";
  run.seq_len = 1024;
  EXPECT_TRUE(answer(run).plan.plan.flash_attention);
  EXPECT_EQ(answer(run).plan.recompute_up_to, Recompute::kFull);
}

TEST(PlanOfRun, AttentionIsFusedWhereNothingElseExists) {
  MeasuredRun run = gpt(8);
  run.tp = 2;
  run.seq_len = 1024;
  run.flash_attention = "unknown";
  EXPECT_FALSE(answer(run).plan.plan.flash_attention);
  run.cp = 2;
  EXPECT_TRUE(answer(run).plan.plan.flash_attention);
  run.cp = 1;
  run.zero_stage = "fsdp/zero3";
  EXPECT_TRUE(answer(run).plan.plan.flash_attention);
  run.zero_stage = "none";
  run.gpu = "H100-SXM";
  EXPECT_TRUE(answer(run).plan.plan.flash_attention);
  run.source = "NVIDIA/Megatron-LM tests/functional_tests golden values";
  EXPECT_FALSE(answer(run).plan.plan.flash_attention);
  run.gpu = "V100-SXM2";
  run.seq_len = 8192;
  EXPECT_FALSE(answer(run).plan.plan.flash_attention);
}

TEST(PlanOfRun, FrameworksDifferInGradientsAndBuffers) {
  MeasuredRun run = gpt(8);
  run.tp = 8;
  run.precision = "bf16";
  run.zero_stage = "zero1 (Megatron distributed optimizer)";
  EXPECT_EQ(answer(run).plan.plan.precision.gradients, DataType::kBf16);
  EXPECT_EQ(answer(run).plan.communication_buffers, Bytes());
  run.zero_stage = "zero1 (distributed optimizer)";
  EXPECT_EQ(answer(run).plan.plan.precision.gradients, DataType::kFp32);
  run.zero_stage = "zero1";
  EXPECT_EQ(answer(run).plan.plan.precision.gradients, DataType::kFp32);
  // Two buckets of 5e8 values of two bytes.
  EXPECT_EQ(answer(run).plan.communication_buffers, Bytes(2'000'000'000));
}

TEST(PlanOfRun, StatesOfTheOptimizerAreWhatTheRunHas) {
  MeasuredRun run = gpt(8);
  run.tp = 8;
  EXPECT_EQ(answer(run).plan.optimizer_share, 1);
  run.notes = "bnb 8-bit optimizer; main branch";
  EXPECT_EQ(answer(run).plan.optimizer_share, 0.5);
  run.notes = "forward+backward only, no optimizer step";
  EXPECT_EQ(answer(run).plan.optimizer_share, 0);
  EXPECT_TRUE(answer(run).plan.no_update);
  run.notes = "CPU AdamW offload";
  EXPECT_EQ(answer(run).plan.optimizer_share, 0);
  EXPECT_FALSE(answer(run).plan.no_update);
  EXPECT_THAT(answer(run).assumptions, Contains(HasSubstr("optimizer=host")));
  // Two moments of two bytes of a master weight and two moments of four.
  run.notes = "full BF16";
  EXPECT_EQ(answer(run).plan.optimizer_share, 4.0 / 12);
  EXPECT_EQ(answer(run).plan.plan.precision.gradients, DataType::kFp16);
  run.notes = "";
  // Parameters are gathered where the optimiser is sharded.
  EXPECT_FALSE(answer(run).plan.sharding_unsaid);
  run.zero_stage = "";
  EXPECT_EQ(answer(run).plan.plan.strategies.front().zero_stage, 0);
  EXPECT_TRUE(answer(run).plan.sharding_unsaid);
  run.notes = "overlap-grad-reduce, overlap-param-gather on";
  EXPECT_EQ(answer(run).plan.plan.strategies.front().zero_stage, 1);
}

TEST(PlanOfRun, FrameworksDifferInLogitsAndDispatch) {
  MeasuredRun run = gpt(8);
  run.tp = 8;
  run.micro_batch = 2;
  EXPECT_EQ(answer(run).plan.other_logits, Bytes());
  EXPECT_FALSE(answer(run).plan.plan.dispatch_once_per_node);
  run.source = "bigscience-workshop/bigscience experiments/tr3m-1B3.md L22";
  // 2 samples of 2048 tokens, an eighth of a vocabulary of 51,200, 4 bytes each.
  EXPECT_EQ(answer(run).plan.other_logits, Bytes(2 * 2048 * 6400 * 4));
  // Neither 16-bit nor fp32 logits.
  run.source = "X";
  run.notes = "Liger kernel (fused cross entropy)";
  EXPECT_EQ(answer(run).plan.other_logits, Bytes(-2 * 2048 * 6400 * (2 + 4)));
  run.source = "NVIDIA-NeMo/Megatron-Bridge docs/performance-summary.md";
  EXPECT_TRUE(answer(run).plan.plan.dispatch_once_per_node);
}

TEST(PlanOfRun, FrameworksDifferInAttentionAndModules) {
  MeasuredRun run = gpt(8);
  run.tp = 1;
  EXPECT_EQ(answer(run).plan.attention, AttentionLibrary::kVendor);
  EXPECT_FALSE(answer(run).plan.transformer_engine);
  EXPECT_FALSE(answer(run).plan.plan.autocast);
  run.zero_stage = "fsdp FULL_SHARD (zero3)";
  EXPECT_EQ(answer(run).plan.attention, AttentionLibrary::kFlash2);
  EXPECT_EQ(answer(run).plan.plan.gathers_per_layer, 1);
  run.source = "mosaicml/llm-foundry scripts/train/benchmarking/README.md";
  run.notes = "precision as printed: amp_bf16";
  EXPECT_EQ(answer(run).plan.attention, AttentionLibrary::kFlash1);
  EXPECT_TRUE(answer(run).plan.plan.autocast);
  run.zero_stage = "zero3";
  EXPECT_EQ(answer(run).plan.plan.gathers_per_layer, 12);
  run.zero_stage = "zero1 (distributed optimizer)";
  EXPECT_TRUE(answer(run).plan.transformer_engine);
}

TEST(PlanOfRun, ShardingIsReadAsTablesWriteIt) {
  struct Case {
    std::string_view text;
    int32_t stage;
    int32_t group;
  };
  for (const Case& one :
       {Case{"zero1 (Megatron distributed optimizer)", 1, 0}, Case{"fsdp FULL_SHARD (zero3)", 3, 0},
        Case{"none (DDP/apex)", 0, 0}, Case{"fsdp SHARD_GRAD_OP (zero2)", 2, 0}, Case{"3", 3, 0},
        Case{"fsdp zero3, shard group 128, replicas 4 (HSDP)", 3, 128},
        Case{"hsdp (shard in node, replicate across)", 3, 8},
        Case{"fsdp 16 x 8 within, DP 2 across (MaxText ICI/DCN axes)", 3, 128},
        Case{"fsdp 256", 3, 256},
        // 16 bytes of each of 175e9 parameters over half of 80 GiB: more than 64 devices.
        Case{"fsdp+dp (group size not stated)", 3, 128}}) {
    MeasuredRun run = gpt(512);
    run.tp = 1;
    run.pp = 1;
    run.micro_batch = 1;
    run.global_batch = 512;
    run.zero_stage = one.text;
    const Answer got = answer(run);
    ASSERT_EQ(got.reason, "") << one.text;
    EXPECT_EQ(got.plan.plan.strategies.front().zero_stage, one.stage) << one.text;
    EXPECT_EQ(got.plan.plan.strategies.front().shard_group, one.group) << one.text;
  }
}

TEST(PlanOfRun, ShardingOfOneSpellingOrAnother) {
  struct Case {
    std::string_view text;
    int32_t stage;
  };
  for (const Case& one :
       {Case{"ZeRO-3", 3}, Case{"zero_stage=2", 2}, Case{"DeepSpeed stage 1", 1}, Case{"FSDP2", 3},
        Case{"ZeRO 0", 0}, Case{"None", 0}, Case{"no", 0}, Case{"zero3 (deepspeed)", 3}}) {
    MeasuredRun run = gpt(8);
    run.tp = 1;
    run.zero_stage = one.text;
    EXPECT_EQ(answer(run).plan.plan.strategies.front().zero_stage, one.stage) << one.text;
  }
}

TEST(PlanOfRun, DataParallelismAloneNeedsNoDegree) {
  MeasuredRun run = gpt(64);
  for (const char* const text : {"FSDP", "ZeRO-3", "none (DDP/apex)"}) {
    run.zero_stage = text;
    const Answer got = answer(run);
    ASSERT_EQ(got.reason, "") << text;
    EXPECT_EQ(got.plan.plan.strategies.front().data_parallel, 64) << text;
    EXPECT_THAT(got.assumptions, Contains("dp=64: not stated, by the number of GPUs"));
  }
  run.zero_stage = "zero1";  // with a pipeline as likely as not
  EXPECT_THAT(answer(run).reason, HasSubstr("the plan of the run is not known"));
}

TEST(PlanOfRun, CheckpointsOfOperatorsAreAboutHalfOfAll) {
  MeasuredRun run = gpt(8);
  run.tp = 1;
  run.recompute = "selective (per-op SAC)";
  EXPECT_EQ(answer(run).plan.recompute_up_to, Recompute::kFull);
  EXPECT_EQ(answer(run).plan.recompute_least, 0.5);
  run.recompute = "selective";
  EXPECT_EQ(answer(run).plan.recompute_least, 0);
  EXPECT_EQ(answer(run).plan.plan.strategies.front().recompute, Recompute::kSelective);
  run.source = "pytorch/torchtitan benchmarks";
  EXPECT_EQ(answer(run).plan.recompute_least, 0.5);
}

TEST(PlanOfRun, PrecisionsAreTakenForTheNearest) {
  struct Case {
    std::string_view text;
    DataType compute;
    DataType parameters;
  };
  for (const Case& one : {Case{"bf16", DataType::kBf16, DataType::kBf16},
                          Case{"bfloat16", DataType::kBf16, DataType::kBf16},
                          Case{"Float16", DataType::kFp16, DataType::kFp16},
                          Case{"fp8-cs", DataType::kFp8, DataType::kBf16},
                          Case{"float8 (rowwise)", DataType::kFp8, DataType::kBf16},
                          Case{"nvfp4", DataType::kFp4, DataType::kBf16},
                          Case{"tf32", DataType::kTf32, DataType::kFp32},
                          Case{"fp32", DataType::kFp32, DataType::kFp32},
                          Case{"", DataType::kBf16, DataType::kBf16}}) {
    MeasuredRun run = gpt(8);
    run.tp = 8;
    run.precision = one.text;
    const Answer got = answer(run);
    ASSERT_EQ(got.reason, "") << one.text;
    EXPECT_EQ(got.plan.plan.precision.compute, one.compute) << one.text;
    EXPECT_EQ(got.plan.plan.precision.parameters, one.parameters) << one.text;
  }
}

TEST(PlanOfRun, TheZeroBubbleRunsCountEmbeddingAndHeadAsALayerEach) {
  MeasuredRun run = gpt(8);
  run.model = "gpt-6.2b";
  run.layers = 30;
  run.hidden = 4096;
  run.heads = 32;
  run.tp = 1;
  run.pp = 8;
  run.vpp = "1";
  run.micro_batch = 3;
  run.global_batch = 72;
  run.notes = "schedule ZB-2p; first and last stages hold one layer fewer";
  const Answer got = answer(run);
  ASSERT_EQ(got.reason, "");
  EXPECT_EQ(got.plan.plan.schedule, PipelineSchedule::kZb2p);
  // 32 layers with embedding and head: 4 a stage.
  EXPECT_EQ(got.plan.plan.chunk_begin, (std::vector<int32_t>{0, 4, 8, 12, 16, 20, 24, 28}));
  run.notes = "schedule zero-bubble";
  EXPECT_EQ(answer(run).plan.plan.schedule, PipelineSchedule::kZb1p);
  // 30 layers are not 16 chunks; with embedding and head they are.
  run.notes = "schedule 1F1B-interleaved";
  run.vpp = "interleaved";
  EXPECT_EQ(answer(run).plan.plan.chunk_begin.size(), 16U);
  run.notes = "schedule 1F1B-I; each layer is one chunk";
  run.vpp = "4";
  EXPECT_EQ(answer(run).plan.plan.schedule, PipelineSchedule::kInterleaved);
  EXPECT_EQ(answer(run).plan.plan.chunk_begin.size(), 32U);
}

TEST(PlanOfRun, ExpertsAreCarvedOutOfDataRanksAndDenseBlocksHaveNone) {
  MeasuredRun run = gpt(256);
  run.model = "deepseek-v3";
  run.tp = 2;
  run.pp = 4;
  run.ep = 64;  // 32 data ranks
  run.micro_batch = 1;
  run.global_batch = 2048;
  const Answer got = answer(run);
  ASSERT_EQ(got.reason, "");
  EXPECT_EQ(got.plan.plan.strategy(10).expert_parallel, 32);
  EXPECT_EQ(got.plan.plan.strategy(1).expert_parallel, 1);
  EXPECT_THAT(got.assumptions, Contains("ep=32: of 64, which goes over tensor ranks"));
}

TEST(PlanOfRun, WhatContradictsItselfIsRefusedWithTheReason) {
  MeasuredRun run = gpt(16);
  EXPECT_THAT(answer(run).reason, HasSubstr("none of tp, pp and dp is stated"));
  run.tp = 3;
  EXPECT_THAT(answer(run).reason, HasSubstr("does not divide the 16 GPUs"));
  run.tp = 4;
  run.pp = 8;
  EXPECT_THAT(answer(run).reason, HasSubstr("tp x pp x cp is 32"));
  run.dp = 1;
  EXPECT_THAT(answer(run).reason, HasSubstr("more than the 16 GPUs"));
  run.pp = int64_t{1} << 29;
  EXPECT_THAT(answer(run).reason, HasSubstr("is more than the 16 GPUs"));
  run = gpt(8);
  run.tp = 8;
  run.micro_batch = 1 << 24;
  EXPECT_THAT(answer(run).reason, HasSubstr("is too large"));
  run.micro_batch = 1;
  run.global_batch = 1'000'000'000;
  EXPECT_THAT(answer(run).reason, HasSubstr("too many to simulate"));
  run.global_batch = 1;
  run.layers = 999'999;
  EXPECT_THAT(answer(run).reason, HasSubstr("layers 999999 is too large"));
  run.layers = 20'000;
  run.hidden = 49'152;
  run.heads = 384;
  EXPECT_THAT(answer(run).reason, HasSubstr("parameters is too large"));
  run = gpt(8);
  run.model = "llama2-7b-lora";
  run.tp = 8;
  EXPECT_THAT(answer(run).reason, HasSubstr("LoRA"));
}

}  // namespace
}  // namespace soapbox::runner
