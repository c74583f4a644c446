#include "sim/plan/parallel_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/plan/test_plan.h"

namespace soapbox {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ParallelPlan plan_of(int32_t pipeline, int32_t tensor, int32_t data) {
  ParallelPlan plan;
  plan.pipeline_parallel = pipeline;
  plan.strategies = {{.tensor_parallel = tensor, .data_parallel = data}};
  plan.chunk_begin = even_chunks(tiny_transformer(8), pipeline);
  return plan;
}

std::string refusal(const ParallelPlan& plan, size_t devices, int64_t experts = 0) {
  const Status status = check_parallel_plan(tiny_transformer(8, experts), plan, devices);
  return status ? "" : status.error().message;
}

TEST(ParallelPlan, SpreadsBlocksEvenlyWithTheEmbeddingFirstAndTheHeadLast) {
  EXPECT_THAT(even_chunks(tiny_transformer(8), 4), ElementsAre(0, 3, 5, 7));
  EXPECT_THAT(even_chunks(tiny_transformer(7), 2), ElementsAre(0, 4));
  EXPECT_THAT(even_chunks(tiny_transformer(8), 1), ElementsAre(0));
}

TEST(ParallelPlan, AcceptsWhatFits) {
  EXPECT_EQ(refusal(plan_of(2, 4, 2), 16), "");
  EXPECT_EQ(refusal(plan_of(1, 1, 1), 1), "");
  ParallelPlan experts = plan_of(2, 1, 4);
  experts.strategies[0].expert_parallel = 4;
  EXPECT_EQ(refusal(experts, 8, 8), "");
}

TEST(ParallelPlan, NamesWhatDoesNotFitAndWhatIsAllowed) {
  EXPECT_THAT(refusal(plan_of(3, 1, 1), 8), HasSubstr("pp 3; allowed: a divisor of the 8 devices"));
  EXPECT_THAT(refusal(plan_of(2, 4, 1), 16), HasSubstr("dp 4; allowed: the 8 devices of a stage"));
  EXPECT_THAT(refusal(plan_of(1, 8, 1), 8), HasSubstr("a divisor of the 4 attention heads"));
  ParallelPlan plan = plan_of(2, 1, 4);
  plan.strategies[0].expert_parallel = 2;
  EXPECT_THAT(refusal(plan, 8), HasSubstr("ep 2; allowed: 1"));
  plan = plan_of(2, 1, 4);
  plan.chunks_per_stage = 2;
  EXPECT_THAT(refusal(plan, 8), HasSubstr("vpp 2; allowed: 1 with schedule 1f1b"));
  plan = plan_of(2, 1, 4);
  plan.chunk_begin = {0, 0};
  EXPECT_THAT(refusal(plan, 8), HasSubstr("chunk_begin 0; allowed: above 0, below 10"));
  plan = plan_of(2, 1, 4);
  plan.strategies[0].zero_stage = 4;
  EXPECT_THAT(refusal(plan, 8), HasSubstr("zero 4; allowed: 0, 1, 2, 3"));
  plan = plan_of(2, 1, 4);
  plan.microbatches = 1'000'000;  // 2^22 / 10 layers
  EXPECT_THAT(refusal(plan, 8), HasSubstr("microbatches 1000000; allowed: at most 419430 of 10"));
}

TEST(ParallelPlan, NamesReadBackAndMisspeltOnesGetTheNearest) {
  for (const char* name : {"gpipe", "1f1b", "interleaved", "zb1", "zb2", "zbv"}) {
    const Result<PipelineSchedule> schedule = parse_schedule(name);
    ASSERT_TRUE(schedule) << name;
    EXPECT_EQ(to_string(*schedule), name);
  }
  EXPECT_THAT(parse_schedule("1f2b").error().message, HasSubstr("1f1b"));
  EXPECT_THAT(parse_recompute("ful").error().message, HasSubstr("full"));
  EXPECT_THAT(parse_precision("bf61").error().message, HasSubstr("bf16"));
}

}  // namespace
}  // namespace soapbox
