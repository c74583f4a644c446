#include "sim/parallel/parallel_memory.h"

#include <gtest/gtest.h>

#include "sim/parallel/simulate_parallel.h"
#include "sim/parallel/test_parallel.h"

namespace soapbox {
namespace {

// What Megatron-LM's functional tests print of the last rank: the bytes in use after a step and the
// most that were in use (golden values of commit d98e8a64dd; DGX H100 and DGX A100).
struct Golden {
  double steady;
  double peak;
};

StageMemory last_stage(const Transformer& model, const ParallelPlan& plan) {
  const TestMachine machine(8, 8);
  return simulate_parallel(machine.problem(model), plan, {.fold = true, .check_memory = false})
      .memory.back();
}

double states(const MemoryUse& use) {
  return (use.parameters + use.gradients + use.optimizer).as_double();
}

// gpt3_7b_*_memory_speed: untied embeddings, 8 key and value groups, fused attention, fp32
// gradients, distributed optimiser over two data ranks.
Transformer gpt_7b() {
  GptShape shape = gpt_shape(32, 4096, 32, 131073, 8192);
  shape.attention.kv_heads = 8;
  shape.tied = false;
  return make_gpt("gpt_7b", "test", shape).value();
}

ParallelPlan plan_7b() {
  ParallelPlan plan;
  plan.strategies = {{.data_parallel = 2, .zero_stage = 1}};
  return plan;
}

TEST(ParallelMemory, InterleavedGpt7BIsAsMegatronAllocates) {
  const Golden golden = {24808996864.0, 60720852992.0};
  ParallelPlan plan = plan_7b();
  plan.pipeline_parallel = 4;
  plan.chunks_per_stage = 8;
  plan.schedule = PipelineSchedule::kInterleaved;
  plan.microbatches = 4;
  const Transformer model = gpt_7b();
  plan.chunk_begin = even_chunks(model, 32);
  const MemoryUse peak = last_stage(model, plan).peak;
  EXPECT_NEAR(peak.total().as_double(), golden.peak, 0.01 * golden.peak);
  // After the step one gradient of the head, of two bytes, is left over.
  EXPECT_NEAR(states(peak) + 131200.0 * 4096 * 2, golden.steady, 0.02 * golden.steady);
}

TEST(ParallelMemory, TensorParallelGpt7BIsAsMegatronAllocates) {
  const Golden golden = {20663519232.0, 57143791616.0};
  ParallelPlan plan = plan_7b();
  plan.strategies.front().tensor_parallel = 4;
  plan.microbatch = 2;
  plan.microbatches = 2;
  const MemoryUse peak = last_stage(gpt_7b(), plan).peak;
  EXPECT_NEAR(peak.total().as_double(), golden.peak, 0.01 * golden.peak);
  EXPECT_NEAR(states(peak), golden.steady, 0.01 * golden.steady);
}

// gpt3_mcore_te_*: 12 layers of width 512, unfused attention, dropout. Rounded to 2^20 bytes.
TEST(ParallelMemory, SmallGptsAreAsMegatronAllocates) {
  struct Case {
    int32_t stages;
    int32_t chunks;
    int32_t data;
    int32_t zero;
    double steady_gib;
    double peak_gib;
  };
  for (const Case& one : {Case{1, 1, 8, 1, 0.514, 4.352}, Case{2, 1, 4, 0, 0.825, 3.325},
                          Case{4, 1, 2, 0, 0.670, 2.501}, Case{4, 3, 2, 0, 0.683, 3.840}}) {
    const Transformer model = make_gpt("small", "test", gpt_shape(12, 512, 8, 50257, 1024)).value();
    ParallelPlan plan;
    plan.strategies = {{.data_parallel = one.data, .zero_stage = one.zero}};
    plan.pipeline_parallel = one.stages;
    plan.chunks_per_stage = one.chunks;
    plan.schedule = one.chunks > 1 ? PipelineSchedule::kInterleaved : PipelineSchedule::k1F1B;
    plan.chunk_begin = even_chunks(model, one.stages * one.chunks);
    plan.microbatch = 4;
    plan.microbatches = 32 / (4 * one.data);
    plan.flash_attention = false;
    const MemoryUse peak = last_stage(model, plan).peak;
    EXPECT_NEAR(peak.total().as_double() / 0x1p30, one.peak_gib, 0.01 * one.peak_gib)
        << one.stages << " x " << one.chunks;
    // A workspace of cuBLAS and one of Transformer Engine stay, 32 MiB each.
    EXPECT_NEAR(states(peak) / 0x1p30 + 0.0625, one.steady_gib, 0.05 * one.steady_gib);
  }
}

// A tied table is on the first and on the last stage, with its gradient and its optimiser states;
// untied, the model has both anyway; in the shape of a V, they are the same stage.
TEST(ParallelMemory, ATiedTableIsHeldByBothEndsOfAPipeline) {
  const Transformer model = small_gpt(8);
  GptShape untied_shape = gpt_shape(8, 2048, 16, 51200, 1024);
  untied_shape.tied = false;
  const Transformer untied = make_gpt("untied", "test", untied_shape).value();
  ParallelPlan plan;
  plan.pipeline_parallel = 4;
  plan.microbatches = 4;
  plan.chunk_begin = even_chunks(model, 4);
  EXPECT_EQ(states(last_stage(model, plan).peak), states(last_stage(untied, plan).peak));
  plan.schedule = PipelineSchedule::kZbV;
  plan.chunks_per_stage = 2;
  plan.chunk_begin = even_chunks(model, 8);
  const TestMachine machine(4, 4);
  const auto first = [&](const Transformer& of) {
    return states(
        simulate_parallel(machine.problem(of), plan, {.check_memory = false}).memory.front().peak);
  };
  EXPECT_EQ(first(untied) - first(model), 18.0 * 51200 * 2048);
}

// Two layers and their gradients; gathered tensor by tensor 10^9 parameters at most, or the largest
// tensor, a third of a block, and its gradient.
TEST(ParallelMemory, WhatZero3GathersIsBoundedWhereItGathersTensors) {
  const auto gathered = [](int64_t hidden, int32_t pieces) {
    const Transformer model = make_gpt("wide", "test", gpt_shape(2, hidden, 16, 512, 128)).value();
    ParallelPlan plan;
    plan.strategies = {{.data_parallel = 8, .zero_stage = 3}};
    plan.chunk_begin = {0};
    plan.gathers_per_layer = pieces;
    ParallelPlan whole = plan;
    whole.strategies.front().zero_stage = 2;
    return (last_stage(model, plan).peak.buffers - last_stage(model, whole).peak.buffers)
        .as_double();
  };
  const auto block = [](double hidden) { return 12 * hidden * hidden + 13 * hidden; };
  EXPECT_EQ(gathered(2048, 1), 4 * block(2048) * 2);
  EXPECT_NEAR(gathered(2048, 12), (2 * block(2048) + block(2048) / 3) * 2, 2);
  EXPECT_NEAR(gathered(8192, 12), (1e9 + block(8192) / 3) * 2, 2);
  EXPECT_NEAR(gathered(20480, 12), 2 * block(20480) / 3 * 2, 2);
}

}  // namespace
}  // namespace soapbox
