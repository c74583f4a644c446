// Transformer plans end to end: closed forms of pipelines, equality with and without folding, and
// the sums that every plan must keep.
#include "sim/parallel/simulate_parallel.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/engine/check_trace.h"
#include "sim/model/gpt.h"
#include "sim/parallel/test_parallel.h"

namespace soapbox {
namespace {

const Report& report_of(const ParallelRun& run) {
  return std::get<Report>(run.outcome);
}

ParallelRun run_plan(const TestMachine& machine, const Transformer& model, const ParallelPlan& plan,
                     bool fold = true) {
  const Status fits = check_parallel_plan(model, plan, machine.cluster.device_count());
  EXPECT_TRUE(fits) << (fits ? "" : fits.error().message);
  return simulate_parallel(machine.problem(model), plan, {.fold = fold, .check_memory = false});
}

// Blocks alone, so that all stages are alike.
Transformer blocks_only(int64_t blocks) {
  Transformer model = small_gpt(blocks);
  model.layers.erase(model.layers.begin());
  model.layers.pop_back();
  return model;
}

struct PlanCase {
  const char* name;
  ParallelPlan plan;
};

std::vector<PlanCase> plans_of_16(const Transformer& model) {
  std::vector<PlanCase> cases;
  const auto add = [&](const char* name, int32_t pp, LayerStrategy strategy,
                       PipelineSchedule schedule = PipelineSchedule::k1F1B, int32_t chunks = 1) {
    ParallelPlan plan;
    plan.pipeline_parallel = pp;
    plan.chunks_per_stage = chunks;
    plan.schedule = schedule;
    plan.microbatches = 8;
    plan.strategies = {strategy};
    plan.chunk_begin = even_chunks(model, pp * chunks);
    cases.push_back({name, plan});
  };
  using enum PipelineSchedule;
  add("data", 1, {.data_parallel = 16});
  add("zero1", 1, {.tensor_parallel = 2, .data_parallel = 8, .zero_stage = 1});
  add("fsdp", 1, {.data_parallel = 16, .zero_stage = 3, .recompute = Recompute::kFull});
  add("hsdp", 1, {.data_parallel = 16, .zero_stage = 3, .shard_group = 8});
  add("sequence", 2, {.tensor_parallel = 4, .data_parallel = 2, .sequence_parallel = true});
  add("context", 1, {.tensor_parallel = 2, .context_parallel = 4, .data_parallel = 2});
  add("gpipe", 4, {.tensor_parallel = 2, .data_parallel = 2}, kGPipe);
  add("interleaved", 4, {.tensor_parallel = 2, .data_parallel = 2, .zero_stage = 1}, kInterleaved,
      2);
  add("zb1", 4, {.data_parallel = 4}, kZb1p);
  add("zb2", 4, {.tensor_parallel = 4}, kZb2p);
  add("zbv", 4, {.tensor_parallel = 2, .data_parallel = 2}, kZbV, 2);
  ParallelPlan mixed = cases[1].plan;
  mixed.strategies = {{.tensor_parallel = 1, .data_parallel = 16},
                      {.tensor_parallel = 4, .data_parallel = 4, .zero_stage = 3}};
  mixed.microbatch = 2;
  mixed.strategy_of_layer.assign(model.layers.size(), 0);
  for (size_t l = 4; l < 8; ++l) mixed.strategy_of_layer[l] = 1;
  cases.push_back({"mixed", mixed});
  ParallelPlan late = cases[1].plan;
  late.overlap_gradients = false;
  late.overlap_parameters = false;
  cases.push_back({"late", late});
  return cases;
}

TEST(SimulateParallel, FoldingChangesNothing) {
  const TestMachine machine(16, 8);
  const Transformer model = small_gpt(16);
  for (const PlanCase& test : plans_of_16(model)) {
    const ParallelRun folded = run_plan(machine, model, test.plan, true);
    const ParallelRun whole = run_plan(machine, model, test.plan, false);
    ASSERT_TRUE(folded.lowered.folded && !whole.lowered.folded);
    const Report& a = report_of(folded);
    const Report& b = report_of(whole);
    EXPECT_EQ(a.iteration_time, b.iteration_time) << test.name;
    EXPECT_EQ(a.lower_bound, b.lower_bound) << test.name;
    EXPECT_NEAR(a.bubble_fraction, b.bubble_fraction, 1e-9) << test.name;
    EXPECT_EQ(a.compute_total, b.compute_total) << test.name;
    EXPECT_LT(a.tasks, b.tasks) << test.name;
  }
}

TEST(SimulateParallel, TimelinesAreJudgedRightAndBoundsHold) {
  const TestMachine machine(16, 8);
  const Transformer model = small_gpt(16);
  for (const PlanCase& test : plans_of_16(model)) {
    const ParallelRun run = run_plan(machine, model, test.plan, false);
    const Status judged = check_trace(run.lowered.graph, run.timeline);
    EXPECT_TRUE(judged) << test.name << ": " << (judged ? "" : judged.error().message);
    EXPECT_GE(report_of(run).iteration_time, report_of(run).lower_bound) << test.name;
    EXPECT_GT(report_of(run).mfu, 0) << test.name;
    EXPECT_LT(report_of(run).mfu, 1) << test.name;
  }
}

// Equal stages with hardly any traffic: an iteration is (m + p - 1) passes, the messages on the way
// through and one update.
TEST(SimulateParallel, PipelinesTakeTheirClosedForm) {
  const TestMachine machine(4, 4, /*free_network=*/true);
  const Transformer model = blocks_only(8);
  for (const PipelineSchedule schedule : {PipelineSchedule::kGPipe, PipelineSchedule::k1F1B}) {
    for (const int64_t m : {1, 4, 9}) {
      ParallelPlan plan;
      plan.pipeline_parallel = 4;
      plan.schedule = schedule;
      plan.microbatches = m;
      plan.chunk_begin = {0, 2, 4, 6};
      const ParallelRun run = run_plan(machine, model, plan);
      const StageCosts costs(machine.problem(model), plan);
      const Duration pass = costs.pipeline().forward[0] + costs.pipeline().backward[0];
      const Duration update = costs.optimizer[0];
      const Duration sends = costs.send[0] * 6;
      const Duration closed = pass * (m + 3) + update + sends;
      // Where forwards and backwards alternate, a stage also waits for messages in between.
      const bool alternates = schedule == PipelineSchedule::k1F1B;
      EXPECT_GE(report_of(run).iteration_time, closed) << to_string(schedule) << " m " << m;
      EXPECT_LE(report_of(run).iteration_time, closed + (alternates ? sends * m : Duration()))
          << to_string(schedule) << " m " << m;
    }
  }
}

// The products of one micro-batch, on all ranks, are the model's FLOPs: nothing is lost or done
// twice by tensor, sequence or context parallelism. Attention counts all pairs that are seen.
TEST(SimulateParallel, SplittingKeepsTheFlops) {
  const Transformer model = small_gpt(2);
  for (const LayerStrategy& strategy :
       {LayerStrategy{}, LayerStrategy{.tensor_parallel = 4},
        LayerStrategy{.tensor_parallel = 2, .sequence_parallel = true},
        LayerStrategy{.tensor_parallel = 2, .context_parallel = 2}}) {
    ParallelPlan plan;
    plan.strategies = {strategy};
    for (const TransformerLayer& layer : model.layers) {
      if (layer.kind != LayerKind::kBlock) continue;
      double flops = 0;
      for (const Step& step : make_layer_work(layer, strategy, plan).forward) {
        const auto* kernel = std::get_if<Kernel>(&step.what);
        if (kernel == nullptr || kernel->gemm.m == 0) continue;
        const double whole = kernel->gemm.flops();
        const bool attention = kernel->kind == KernelKind::kAttention;
        flops += attention ? 2 * whole * (kernel->causal ? 0.5 : 1.0) : whole;
      }
      flops *= strategy.tensor_parallel * strategy.context_parallel;
      EXPECT_NEAR(flops / layer.forward_flops_per_sample(), 1, 1e-9)
          << "tp " << strategy.tensor_parallel << " cp " << strategy.context_parallel;
    }
  }
}

// Korthikanti et al. 2022, equations 1 to 6, per layer with 16-bit values, dropout, s tokens, b
// samples, width h, a heads, t tensor ranks.
TEST(SimulateParallel, ActivationsFollowTheirPaper) {
  const Transformer model = small_gpt(1);
  const TransformerLayer& layer = model.layers[1];
  const auto s = static_cast<double>(layer.seq_len);
  const auto h = static_cast<double>(layer.hidden);
  const auto a = static_cast<double>(layer.attention.heads);
  const double b = 3, t = 4;
  const auto kept = [&](int32_t tensor, bool sequence, Recompute recompute) {
    ParallelPlan plan;
    plan.microbatch = 3;
    plan.flash_attention = false;
    plan.strategies = {
        {.tensor_parallel = tensor, .sequence_parallel = sequence, .recompute = recompute}};
    return static_cast<double>(make_layer_work(layer, plan.strategies[0], plan).kept_bytes);
  };
  EXPECT_DOUBLE_EQ(kept(1, false, Recompute::kNone), s * b * h * (34 + 5 * a * s / h));
  EXPECT_DOUBLE_EQ(kept(4, false, Recompute::kNone),
                   s * b * h * (10 + 24 / t + 5 * a * s / (h * t)));
  EXPECT_DOUBLE_EQ(kept(4, true, Recompute::kNone), s * b * h / t * (34 + 5 * a * s / h));
  EXPECT_DOUBLE_EQ(kept(4, true, Recompute::kSelective), s * b * h * 34 / t);
  EXPECT_DOUBLE_EQ(kept(1, false, Recompute::kFull), 2 * s * b * h);

  // What the weight gradients need, where they are a pass of their own (Qi et al., section 3.1).
  ParallelPlan plan;
  plan.microbatch = 3;
  plan.flash_attention = false;
  const LayerWork work = make_layer_work(layer, plan.strategies[0], plan);
  EXPECT_DOUBLE_EQ(static_cast<double>(work.weight_kept_bytes), 32 * s * b * h);
}

// 1F1B once the pipeline runs, c the time of a message. A stage that waits for its messages takes
// F + B + 2 c per micro-batch. One that does not still waits for the way to the last stage and
// back, 2 (p - 1) c in p micro-batches. The difference is 2 c / p per micro-batch.
TEST(SimulateParallel, SendsThatAreNotOverlappedAddToEveryPass) {
  const TestMachine machine(4, 1);
  const Transformer model = blocks_only(8);
  ParallelPlan plan;
  plan.pipeline_parallel = 4;
  plan.microbatches = 32;
  plan.chunk_begin = even_chunks(model, 4);
  const auto time = [&](bool overlap) {
    plan.overlap_sends = overlap;
    return report_of(run_plan(machine, model, plan)).iteration_time;
  };
  const Duration hidden = time(true);
  const Duration exposed = time(false);
  const ParallelProblem problem = machine.problem(model);
  const StageCosts costs(problem, plan);
  const double messages = (exposed - hidden).seconds() / costs.send[0].seconds();
  EXPECT_NEAR(messages, 2 * static_cast<double>(plan.microbatches) / 4, 2);
}

// 18 bytes per parameter (fp32 gradients) without sharding; ZeRO's shares of 2, 4 and 12.
TEST(SimulateParallel, StatesFollowZero) {
  const TestMachine machine(8, 8);
  const Transformer model = small_gpt(8);
  const auto n = static_cast<double>(model.parameter_count());
  const auto states = [&](int32_t zero) {
    ParallelPlan plan;
    plan.strategies = {{.data_parallel = 8, .zero_stage = zero}};
    const MemoryUse memory = run_plan(machine, model, plan).memory[0].peak;
    return (memory.parameters + memory.gradients + memory.optimizer).as_double();
  };
  EXPECT_NEAR(states(0), 18 * n, n * 0.01);
  EXPECT_NEAR(states(1), (6 + 12.0 / 8) * n, n * 0.01);
  EXPECT_NEAR(states(2), (2 + 16.0 / 8) * n, n * 0.01);
  EXPECT_NEAR(states(3), 18.0 / 8 * n, n * 0.01);
}

TEST(SimulateParallel, OutOfMemoryIsExplained) {
  const TestMachine machine(1, 1);
  const Transformer model = small_gpt(200);
  const ParallelRun run = simulate_parallel(machine.problem(model), ParallelPlan{});
  const auto* reason = std::get_if<Infeasible>(&run.outcome);
  ASSERT_NE(reason, nullptr);
  EXPECT_EQ(reason->component, "optimizer of stage 0");
  EXPECT_GT(reason->needed, reason->available);
}

// Only the linear layers of blocks multiply in fp8 or fp4: attention, the head and routers do not.
// What does not come out of a norm is cast first, in 2 + 1 + 1 bytes a value.
TEST(SimulateParallel, NarrowTypesAreForLinearLayersAlone) {
  const Transformer model = small_gpt(1);
  const auto count = [&](DataType compute, size_t layer, DataType kernels) {
    ParallelPlan plan;
    plan.precision.compute = compute;
    int64_t products = 0;
    const LayerWork work = make_layer_work(model.layers[layer], {}, plan);
    for (const auto* steps : {&work.forward, &work.backward}) {
      for (const Step& step : *steps) {
        const auto& kernel = std::get<Kernel>(step.what);
        const bool product =
            kernel.kind == KernelKind::kGemm || kernel.kind == KernelKind::kAttention;
        if (product && kernel.type == kernels) ++products;
      }
    }
    return products;
  };
  // Four matrices in a block, three products each; attention forward and backward.
  EXPECT_EQ(count(DataType::kFp8, 1, DataType::kFp8), 12);
  EXPECT_EQ(count(DataType::kFp8, 1, DataType::kBf16), 2);
  EXPECT_EQ(count(DataType::kFp4, 1, DataType::kFp4), 12);
  EXPECT_EQ(count(DataType::kFp8, 2, DataType::kBf16), 3);
  EXPECT_EQ(count(DataType::kBf16, 1, DataType::kBf16), 14);
  const auto moved = [&](DataType compute) {
    ParallelPlan plan;
    plan.precision.compute = compute;
    double bytes = 0;
    const LayerWork work = make_layer_work(model.layers[1], {}, plan);
    for (const auto* steps : {&work.forward, &work.backward}) {
      for (const Step& step : *steps) {
        const auto& kernel = std::get<Kernel>(step.what);
        if (kernel.kind == KernelKind::kMemory) bytes += kernel.bytes;
      }
    }
    return bytes;
  };
  // Inputs of the second and the fourth matrix, h and 4 h; gradients of all outputs, 3 h, h, 4 h,
  // h.
  const double tokens_h = 1024.0 * 2048;
  EXPECT_DOUBLE_EQ(moved(DataType::kFp8) - moved(DataType::kBf16),
                   4 * tokens_h * (1 + 4 + 3 + 1 + 4 + 1));
}

// Of a token's h = 2048 values: two norms' outputs and the 4 h before the second product take a
// byte less each, and the output projection keeps a copy of one beside what attention keeps.
TEST(SimulateParallel, NarrowTypesKeepInputsAsTheyWereCast) {
  const Transformer model = small_gpt(1);
  const auto kept = [&](DataType compute) {
    ParallelPlan plan;
    plan.precision.compute = compute;
    return make_layer_work(model.layers[1], plan.strategies[0], plan).kept_bytes;
  };
  EXPECT_EQ(kept(DataType::kBf16) - kept(DataType::kFp8), (2 + 4 - 1) * 2048 * 1024);
}

// A host that needs longer for a pass than the device sets its pace, and no longer.
TEST(SimulateParallel, TheSlowerOfHostAndDeviceSetsThePace) {
  const TestMachine machine(1, 1);
  const Transformer model = blocks_only(4);
  const ParallelPlan plan;
  const auto seconds = [&](Duration issue) {
    ParallelProblem problem = machine.problem(model);
    problem.factors.issue = issue;
    return report_of(simulate_parallel(problem, plan, {.check_memory = false}))
        .iteration_time.seconds();
  };
  const double free = seconds(Duration());
  EXPECT_EQ(seconds(microseconds(1)), free);
  const LayerWork work = make_layer_work(model.layers[0], {}, plan);
  const auto steps = static_cast<double>(work.forward.size() + work.backward.size());
  const Kernel step =
      optimizer_kernel(plan.precision, static_cast<double>(model.parameter_count()));
  const double update = machine.kernels[HardwareId(0)].time(step).time.seconds();
  EXPECT_NEAR(seconds(milliseconds(10)), 4 * steps * 0.010 + update, 1e-6);
}

// Data traffic of an iteration slows each device by its own, however many stages hand on the same
// micro-batch: twice the micro-batches get half of it each.
TEST(SimulateParallel, TrafficSlowsADeviceOnce) {
  const TestMachine machine(8, 8);
  const Transformer model = blocks_only(16);
  const auto seconds = [&](double overlap, int64_t microbatches) {
    ParallelPlan plan;
    plan.pipeline_parallel = 4;
    plan.chunk_begin = even_chunks(model, 4);
    plan.microbatches = microbatches;
    plan.strategies = {{.data_parallel = 2, .zero_stage = 1}};
    ParallelProblem problem = machine.problem(model);
    problem.factors.overlap = overlap;
    return report_of(simulate_parallel(problem, plan, {.check_memory = false}))
        .iteration_time.seconds();
  };
  const double few = seconds(1, 8) - seconds(0, 8);
  const double many = seconds(1, 64) - seconds(0, 64);
  EXPECT_GT(many, 0);
  EXPECT_LT(many, few);
}

// A slow device delays its pipeline: folding is refused, and the step takes as much longer as the
// slow stage does.
TEST(SimulateParallel, AStragglerSlowsTheStep) {
  TestMachine machine(4, 4);
  const Transformer model = blocks_only(8);
  ParallelPlan plan;
  plan.strategies = {{.data_parallel = 4}};
  const Duration even = report_of(run_plan(machine, model, plan)).iteration_time;
  const TestMachine slow(4, 4, false, /*slowest=*/0.5);
  const ParallelRun run = run_plan(slow, model, plan);
  EXPECT_FALSE(run.lowered.folded);
  EXPECT_GT(report_of(run).iteration_time.seconds(), 1.8 * even.seconds());
  EXPECT_LT(report_of(run).iteration_time.seconds(), 2.0 * even.seconds());
}

}  // namespace
}  // namespace soapbox
