#include "sim/plan/parallel_plan_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/base/str.h"
#include "sim/base/test_mutation.h"
#include "sim/plan/test_plan.h"

namespace soapbox {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr size_t kDevices = 16;

ParallelPlanHeader header() {
  return {"tiny", 16, "cluster", static_cast<int64_t>(kDevices)};
}

template <typename T>
T pick(Rng& rng, std::initializer_list<T> values) {
  return *(values.begin() + rng.below(static_cast<uint32_t>(values.size())));
}

LayerStrategy random_strategy(Rng& rng, int32_t devices) {
  LayerStrategy s;
  s.tensor_parallel = pick(rng, {1, 2});
  s.context_parallel = pick(rng, {1, 2});
  s.data_parallel = devices / s.tensor_parallel / s.context_parallel;
  s.expert_parallel = pick(rng, {1, 2, 4});
  s.zero_stage = pick(rng, {0, 1, 2, 3});
  s.shard_group = pick(rng, {0, 1, s.data_parallel});
  s.sequence_parallel = rng.below(2) == 1;
  s.recompute = pick(rng, {Recompute::kNone, Recompute::kSelective, Recompute::kFull});
  return s;
}

// Any plan that check_parallel_plan() accepts on kDevices.
ParallelPlan random_parallel_plan(Rng& rng, const Transformer& model) {
  ParallelPlan plan;
  using enum PipelineSchedule;
  plan.pipeline_parallel = pick(rng, {1, 2, 4});
  plan.schedule = pick(rng, {kGPipe, k1F1B, kInterleaved, kZb1p, kZb2p, kZbV});
  if (plan.schedule == kZbV) plan.chunks_per_stage = 2;
  if (plan.schedule == kInterleaved && plan.pipeline_parallel > 1) plan.chunks_per_stage = 2;
  plan.microbatch = 4 * (1 + rng.below(3));
  plan.microbatches = 1 + rng.below(100);
  plan.chunk_begin = even_chunks(model, plan.stage_count());
  plan.strategies.clear();
  const uint32_t strategies = 1 + rng.below(3);
  for (uint32_t i = 0; i < strategies; ++i) {
    plan.strategies.push_back(
        random_strategy(rng, static_cast<int32_t>(kDevices) / plan.pipeline_parallel));
  }
  if (strategies > 1) {
    for (size_t l = 0; l < model.layers.size(); ++l) {
      plan.strategy_of_layer.push_back(static_cast<uint16_t>(rng.below(strategies)));
    }
  }
  using enum DataType;
  plan.precision.compute = pick(rng, {kFp32, kTf32, kBf16, kFp16, kFp8, kFp4});
  plan.precision.gradients = pick(rng, {kFp32, kBf16, kFp16});
  plan.precision.parameters = pick(rng, {kFp32, kBf16, kFp16});
  for (bool* flag :
       {&plan.flash_attention, &plan.autocast, &plan.overlap_gradients, &plan.overlap_parameters,
        &plan.overlap_sends, &plan.overlap_tensor, &plan.dispatch_once_per_node}) {
    *flag = rng.below(2) == 1;
  }
  plan.gathers_per_layer = 1 + static_cast<int32_t>(rng.below(12));
  plan.expert_imbalance = 1 + rng.below(1000) / 7.0;
  return plan;
}

// No compiler accepts these once a field is added: random_parallel_plan() and random_strategy()
// must then draw it, so that the test below sees whether the file keeps it.
[[maybe_unused]] void fields_that_are_drawn(const ParallelPlan& plan, const LayerStrategy& layer) {
  [[maybe_unused]] const auto& [pp, chunks, schedule, microbatch, microbatches, begin, strategies,
                                strategy_of_layer, precision, flash, autocast, gradients,
                                parameters, sends, gathers, tensor, imbalance, once] = plan;
  [[maybe_unused]] const auto& [tp, cp, dp, ep, zero, shard, sequence, recompute] = layer;
  [[maybe_unused]] const auto& [compute, reduced, stored] = plan.precision;
}

// Equal plans are simulated equally: the simulator sees nothing else of a file.
TEST(ParallelPlanJson, EveryPlanReadsBackEqual) {
  const Transformer model = tiny_transformer(8, 4);
  Rng rng(1);
  int plans = 0;
  for (int i = 0; i < 500; ++i) {
    const ParallelPlan plan = random_parallel_plan(rng, model);
    if (!check_parallel_plan(model, plan, kDevices)) continue;
    const std::string text = parallel_plan_to_json(header(), plan);
    const Result<ParallelPlan> read = parallel_plan_from_json(text, "p.json", model, kDevices);
    ASSERT_TRUE(read) << read.error().to_string() << text;
    EXPECT_EQ(*read, plan) << text;
    EXPECT_EQ(parallel_plan_to_json(header(), *read), text);
    ++plans;
  }
  EXPECT_GT(plans, 300);
}

class ParallelPlanErrors : public testing::Test {
 protected:
  ParallelPlanErrors() : model_(tiny_transformer(8)) {
    plan_.pipeline_parallel = 2;
    plan_.strategies = {{.tensor_parallel = 2, .data_parallel = 4},
                        {.tensor_parallel = 4, .data_parallel = 2}};
    plan_.strategy_of_layer.assign(model_.layers.size(), 0);
    plan_.chunk_begin = even_chunks(model_, 2);
    text_ = parallel_plan_to_json(header(), plan_);
  }
  std::string error_with(const std::string& from, const std::string& to) const {
    std::string text = text_;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const Result<ParallelPlan> plan = parallel_plan_from_json(text, "p.json", model_, kDevices);
    return plan ? "" : plan.error().to_string();
  }
  Transformer model_;
  ParallelPlan plan_;
  std::string text_;
};

TEST_F(ParallelPlanErrors, SayWhereAndWhatIsAllowed) {
  EXPECT_EQ(error_with("\"pp\": 2", "\"pp\": 0"),
            "p.json:9:3: pp is 0; allowed: whole numbers from 1 to 1048576");
  EXPECT_EQ(error_with("\"pp\": 2", "\"pp\": 3"),
            "p.json:9:3: pp 3; allowed: a divisor of the 16 devices");
  EXPECT_EQ(error_with("\"pp\": 2", "\"pq\": 2"),
            "p.json:1:1: missing key 'pp'; allowed: whole numbers from 1 to 1048576");
  EXPECT_THAT(error_with("1f1b", "1f2b"),
              StartsWith("p.json:11:3: unknown schedule '1f2b'; did you mean '1f1b'?"));
  EXPECT_THAT(error_with("\"overlap_tensor\"", "\"overlap_tensors\""), StartsWith("p.json:1:1:"));
  EXPECT_THAT(error_with("\"vpp\": 1", "\"vpp\": 1, \"vpp2\": 1"),
              HasSubstr("p.json:10:13: unknown key 'vpp2'; did you mean 'vpp'?"));
  EXPECT_THAT(error_with("\"vpp\": 1", "\"vpp\": 1, \"vpp\": 1"),
              HasSubstr("p.json:10:13: key 'vpp' is given twice"));
  // In the second strategy, and in the precision.
  EXPECT_THAT(error_with("{\"tp\":4", "{\"tq\":1,\"tp\":4"),
              StartsWith("p.json:17:6: unknown key 'tq'; did you mean 'tp'?"));
  EXPECT_EQ(error_with("\"tp\":4,\"cp\":1,\"dp\":2", "\"tp\":4,\"cp\":1,\"dp\":3"),
            "p.json:15:3: tp x cp x dp 12; allowed: the 8 devices of a stage");
  EXPECT_THAT(error_with("\"compute\":\"bf16\"", "\"compute\":\"bf61\""),
              StartsWith("p.json:20:17: unknown compute 'bf61'"));
  EXPECT_EQ(error_with("\"tiny\"", "\"tinier\""),
            "p.json:5:3: the plan is for model tinier, not for tiny");
  EXPECT_EQ(error_with("\"devices\": 16", "\"devices\": 8"),
            "p.json:8:3: the plan is for devices 8, not for 16");
  EXPECT_THAT(error_with("\"parallel\"", "\"paralel\""),
              StartsWith("p.json:4:3: unknown kind 'paralel'; did you mean 'parallel'?"));
  EXPECT_THAT(error_with("\"parallel\"", "\"operators\""),
              StartsWith("p.json:4:3: kind is 'operators', expected 'parallel'"));
  EXPECT_EQ(error_with("\"version\": 1", "\"version\": 2"),
            "p.json:3:3: version is 2, this program reads version 1");
}

TEST(ParallelPlanJson, TellsTheKindsApart) {
  EXPECT_EQ(*plan_kind(parallel_plan_to_json(header(), {}), "p.json"), kParallelKind);
  EXPECT_EQ(*plan_kind(R"({"format": "soapbox-plan", "version": 1})", "p.json"), kOperatorsKind);
  EXPECT_FALSE(plan_kind("{}", "p.json"));
  EXPECT_FALSE(plan_kind("", "p.json"));
  EXPECT_EQ(plan_kind("{\n  \"version\": 1e999}", "p.json").error().to_string(),
            "p.json:2:14: 1e999 is beyond the largest number");
}

TEST_F(ParallelPlanErrors, NoMutationOfBytesCrashesTheReader) {
  Rng rng(3);
  int accepted = 0;
  for (int i = 0; i < 3000; ++i) {
    const Result<ParallelPlan> plan =
        parallel_plan_from_json(mutated(text_, rng), "p.json", model_, kDevices);
    if (plan) {
      ++accepted;
      EXPECT_TRUE(check_parallel_plan(model_, *plan, kDevices));
    } else {
      EXPECT_THAT(plan.error().to_string(), StartsWith("p.json:"));
    }
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace soapbox
