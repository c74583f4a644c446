// What must hold of every plan, tried on random ones: figures are finite and ordered, faster
// devices are not slower, more work is not less memory, and what is shared is not more.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "sim/base/rng.h"
#include "sim/parallel/simulate_parallel.h"
#include "sim/parallel/test_parallel.h"

namespace soapbox {
namespace {

constexpr int kPlans = 150;
constexpr uint32_t kDevices = 32;
constexpr uint32_t kPerNode = 8;

struct Draw {
  GptShape shape;
  ParallelPlan plan;

  Transformer model() const { return make_gpt("random", "test", shape).value(); }
  // The blocks over the stages again, after their number or the pipeline has changed.
  void spread() { plan.chunk_begin = even_chunks(model(), plan.stage_count()); }
};

template <size_t N>
int64_t pick(Rng& rng, const std::array<int64_t, N>& from) {
  return from[rng.below(N)];
}

// Degrees, schedules, sharding and recomputation as they come, on 32 devices.
Draw draw(Rng& rng) {
  Draw result;
  result.shape = gpt_shape(pick<3>(rng, {8, 16, 24}), pick<3>(rng, {1024, 2048, 5120}), 16,
                           pick<2>(rng, {32000, 128256}), pick<2>(rng, {512, 2048}));
  if (rng.below(3) == 0) {
    result.shape.mlp.experts = 8;
    result.shape.mlp.experts_per_token = 2;
  }
  ParallelPlan& plan = result.plan;
  LayerStrategy& strategy = plan.strategies.front();
  strategy.tensor_parallel = static_cast<int32_t>(pick<3>(rng, {1, 2, 4}));
  plan.pipeline_parallel = static_cast<int32_t>(pick<3>(rng, {1, 2, 4}));
  strategy.context_parallel = static_cast<int32_t>(pick<2>(rng, {1, 2}));
  strategy.data_parallel = static_cast<int32_t>(kDevices) / strategy.tensor_parallel /
                           plan.pipeline_parallel / strategy.context_parallel;
  if (result.shape.mlp.experts > 0) strategy.expert_parallel = 2;
  strategy.zero_stage = static_cast<int32_t>(rng.below(4));
  strategy.sequence_parallel = strategy.tensor_parallel > 1 && rng.below(2) == 1;
  strategy.recompute = static_cast<Recompute>(rng.below(3));
  plan.flash_attention = rng.below(2) == 1;
  plan.microbatch = pick<3>(rng, {1, 2, 4});
  plan.microbatches = 4 * pick<3>(rng, {1, 2, 4});
  if (plan.pipeline_parallel > 1) {
    plan.schedule = static_cast<PipelineSchedule>(rng.below(6));
    const bool chunked =
        plan.schedule == PipelineSchedule::kInterleaved || plan.schedule == PipelineSchedule::kZbV;
    plan.chunks_per_stage = chunked ? 2 : 1;
  }
  result.spread();
  return result;
}

ParallelRun run(const TestMachine& machine, const Draw& draw) {
  const Transformer model = draw.model();
  const Status sound = check_parallel_plan(model, draw.plan, machine.cluster.device_count());
  EXPECT_TRUE(sound) << (sound ? "" : sound.error().message);
  return simulate_parallel(machine.problem(model), draw.plan, {.check_memory = false});
}

Bytes peak(const ParallelRun& run) {
  return run.memory[fullest_stage(run.memory)].peak.total();
}

double states(const ParallelRun& run) {
  const MemoryUse& use = run.memory[fullest_stage(run.memory)].peak;
  return (use.parameters + use.gradients + use.optimizer).as_double();
}

// Calls `check` with random plans and what they give.
template <typename Check>
void for_random_plans(uint64_t seed, Check check) {
  const TestMachine machine(kDevices, kPerNode);
  Rng rng(seed);
  for (int i = 0; i < kPlans; ++i) {
    SCOPED_TRACE(str_cat("plan ", i));
    const Draw drawn = draw(rng);
    check(machine, drawn, run(machine, drawn));
    if (testing::Test::HasFailure()) return;
  }
}

TEST(PlanProperties, FiguresAreFiniteAndInOrder) {
  for_random_plans(1, [](const TestMachine&, const Draw&, const ParallelRun& run) {
    const Report& report = std::get<Report>(run.outcome);
    EXPECT_GT(report.iteration_time, Duration());
    EXPECT_LE(report.lower_bound, report.iteration_time);
    EXPECT_LE(report.low, report.iteration_time);
    EXPECT_GE(report.high, report.iteration_time);
    EXPECT_GT(report.mfu, 0);
    EXPECT_LE(report.mfu, 1);
    EXPECT_GE(report.bubble_fraction, 0);
    EXPECT_LT(report.bubble_fraction, 1);
    EXPECT_GE(report.exposed_communication, Duration());
    EXPECT_LE(report.exposed_communication, report.iteration_time);
    EXPECT_TRUE(std::isfinite(report.samples_per_s));
    for (const StageMemory& stage : run.memory) {
      const MemoryUse& use = stage.peak;
      for (const Bytes part :
           {use.parameters, use.gradients, use.optimizer, use.activations, use.buffers}) {
        EXPECT_GE(part, Bytes());
      }
    }
  });
}

// Of computing, of memory, or of every link.
TEST(PlanProperties, FasterHardwareIsNotSlower) {
  const auto faster = [](const Hardware& hardware, double compute, double memory) {
    Hardware result = hardware;
    result.bf16_peak = FlopsPerSecond(hardware.bf16_peak.rate() * compute);
    result.fp16_peak = result.bf16_peak;
    result.fp32_peak = FlopsPerSecond(hardware.fp32_peak.rate() * compute);
    result.memory_bandwidth = BytesPerSecond(hardware.memory_bandwidth.rate() * memory);
    return KernelCosts::make(result, nullptr).value();
  };
  TestMachine quick(kDevices, kPerNode);
  TestMachine wide(kDevices, kPerNode);
  const TestMachine linked(kDevices, kPerNode, /*free_network=*/true);
  quick.kernels[HardwareId(0)] = faster(test_accelerator(), 2, 1);
  wide.kernels[HardwareId(0)] = faster(test_accelerator(), 1, 2);
  const std::array<const TestMachine*, 3> machines = {&quick, &wide, &linked};
  // A list schedule may lose a little where another order of passes is chosen.
  constexpr double kAnomaly = 1.02;
  for_random_plans(2, [&](const TestMachine&, const Draw& drawn, const ParallelRun& base) {
    const double time = std::get<Report>(base.outcome).iteration_time.seconds();
    for (const TestMachine* machine : machines) {
      const ParallelRun other = run(*machine, drawn);
      EXPECT_LE(std::get<Report>(other.outcome).iteration_time.seconds(), kAnomaly * time);
    }
  });
}

TEST(PlanProperties, MoreWorkNeedsMoreMemory) {
  for_random_plans(3, [](const TestMachine& machine, const Draw& drawn, const ParallelRun& base) {
    Draw larger = drawn;
    larger.plan.microbatch *= 2;
    EXPECT_GT(peak(run(machine, larger)), peak(base)) << "micro-batch";
    larger = drawn;
    larger.shape.seq_len *= 2;
    larger.shape.positions *= 2;
    EXPECT_GT(peak(run(machine, larger)), peak(base)) << "sequence";
    larger = drawn;
    larger.shape.layers *= 2;
    larger.spread();
    EXPECT_GT(peak(run(machine, larger)), peak(base)) << "layers";
  });
}

TEST(PlanProperties, WhatIsSharedIsNotMore) {
  for_random_plans(4, [](const TestMachine& machine, const Draw& drawn, const ParallelRun& base) {
    Draw other = drawn;
    LayerStrategy& strategy = other.plan.strategies.front();
    if (strategy.zero_stage < 3) {
      strategy.zero_stage += 1;
      EXPECT_LE(states(run(machine, other)), states(base)) << "zero";
    }
    other = drawn;
    if (strategy.recompute != Recompute::kFull) {
      strategy.recompute = Recompute::kFull;
      const MemoryUse use = run(machine, other).memory.front().peak;
      EXPECT_LE(use.activations, base.memory.front().peak.activations) << "recompute";
    }
    other = drawn;
    if (strategy.data_parallel >= 4) {
      strategy.tensor_parallel *= 2;
      strategy.data_parallel /= 2;
      other.plan.strategies.front().zero_stage = 0;
      Draw unshared = drawn;
      unshared.plan.strategies.front().zero_stage = 0;
      EXPECT_LT(states(run(machine, other)), states(run(machine, unshared))) << "tensor";
    }
  });
}

// Two experts of each token on two nodes: 2 (1 - 1/4) nodes get a copy instead of 2, and no more of
// the exchange's time than all of it can be saved.
TEST(PlanProperties, ATokenThatGoesToANodeOnceTakesLess) {
  const TestMachine machine(16, kPerNode);
  Draw drawn;
  drawn.shape = gpt_shape(4, 2048, 16, 32000, 2048);
  drawn.shape.mlp.experts = 16;
  drawn.shape.mlp.experts_per_token = 2;
  drawn.plan.strategies = {{.data_parallel = 16, .expert_parallel = 16}};
  drawn.plan.overlap_gradients = false;
  const auto exchanged = [&](bool once) {
    drawn.plan.dispatch_once_per_node = once;
    const Transformer model = drawn.model();
    const ParallelProblem problem = machine.problem(model);
    const StageCosts costs(problem, drawn.plan);
    Duration time;
    for (const Segment& segment : costs.layer(HardwareId(0), 1).forward.segments) {
      if (segment.group == RankGroup::kExpert) time += segment.exchange;
    }
    return time.seconds();
  };
  EXPECT_LT(exchanged(true), 0.9 * exchanged(false));
  EXPECT_GE(exchanged(true), 0.75 * exchanged(false));
}

}  // namespace
}  // namespace soapbox
