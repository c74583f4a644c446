// What the predictor assumes where a run is silent. Errors on published runs: run_trends_test.cc
// and scripts/validation_table.py.
#include "scenarios/runner/run_predictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/runner/problem.h"

namespace soapbox::runner {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const RunPredictor& predictor() {
  static const RunPredictor predictor = *RunPredictor::make(*find_scenarios());
  return predictor;
}

MeasuredRun llama(std::string model, std::string gpu, double gpu_mem_gb, int64_t gpus) {
  MeasuredRun run;
  run.id = "X-1";
  run.model = std::move(model);
  run.gpu = std::move(gpu);
  run.gpu_mem_gb = gpu_mem_gb;
  run.num_gpus = gpus;
  run.gpus_per_node = 8;
  run.tp = 1;
  run.pp = 1;
  run.seq_len = 2048;
  run.micro_batch = 1;
  run.global_batch = gpus;
  run.precision = "bf16";
  run.recompute = "full";
  run.flash_attention = "yes";
  run.trust = "A";
  return run;
}

// 18 bytes of each of 6.74e9 parameters are 113 GiB; with an eighth of the optimiser's 12 they are
// 47 GiB, and an eighth of all is 14 GiB.
TEST(RunPredictor, ShardsWhatNobodyStatesAsFarAsItTakes) {
  struct Case {
    double gpu_mem_gb;
    const char* stage;
  };
  for (const Case& one : {Case{192, "zero_stage=0: not stated"},
                          Case{80, "zero_stage=1: not stated, the least that fits"},
                          Case{40, "zero_stage=3: not stated, the least that fits"},
                          Case{8, "zero_stage=0: not stated"}}) {
    const RunPrediction got = predictor().predict(llama("llama2-7b", "A100", one.gpu_mem_gb, 8));
    EXPECT_THAT(got.assumptions, Contains(one.stage)) << one.gpu_mem_gb;
    EXPECT_EQ(got.feasible, one.gpu_mem_gb > 8) << one.gpu_mem_gb;
  }
  MeasuredRun stated = llama("llama2-7b", "A100", 40, 8);
  stated.zero_stage = "none";
  EXPECT_FALSE(predictor().predict(stated).feasible);
}

// Beside a pipeline nobody shards parameters: 70e9 / 8 of 18 bytes do not fit, nor of 12.
TEST(RunPredictor, GathersNoParametersBesideAPipeline) {
  MeasuredRun run = llama("llama2-70b", "A100", 80, 16);
  run.pp = 8;
  run.global_batch = 32;
  const RunPrediction got = predictor().predict(run);
  EXPECT_FALSE(got.feasible);
  EXPECT_THAT(got.reason, HasSubstr("out of memory"));
  EXPECT_THAT(got.assumptions, Contains("zero_stage=0: not stated"));
}

// Half of what a layer keeps and computes lies between nothing and all of it.
TEST(RunPredictor, CheckpointsOfOperatorsLieBetweenNoneAndAll) {
  MeasuredRun run = llama("llama3-8b", "H100", 80, 8);
  run.zero_stage = "FSDP2";
  run.seq_len = 8192;
  const auto predicted = [&](const char* recompute) {
    run.recompute = recompute;
    return predictor().predict(run);
  };
  const RunPrediction none = predicted("none");
  const RunPrediction half = predicted("selective (per-op SAC)");
  const RunPrediction all = predicted("full");
  EXPECT_NEAR(half.step_time->seconds(), (none.step_time->seconds() + all.step_time->seconds()) / 2,
              0.001 * all.step_time->seconds());
  EXPECT_NEAR(half.peak_memory->as_double(),
              (none.peak_memory->as_double() + all.peak_memory->as_double()) / 2, 2);
}

TEST(RunPredictor, SaysWhatItKnowsOfADeviceThatWasNotMeasured) {
  const auto assumptions = [](const char* gpu) {
    return predictor().predict(llama("llama2-7b", gpu, 192, 8)).assumptions;
  };
  EXPECT_THAT(assumptions("MI300X"), Contains(HasSubstr("only the best product of MI300X")));
  EXPECT_THAT(assumptions("MI355X"), Contains(HasSubstr("no kernels of MI355X are known")));
  EXPECT_THAT(assumptions("H100"), Not(Contains(HasSubstr("kernels="))));
}

TEST(RunPredictor, SaysWhereAFigureGivesNoTime) {
  MeasuredRun run = llama("llama2-7b", "A100", 80, 8);
  run.metric = "furlongs";
  run.value = "5";
  EXPECT_THAT(predictor().predict(run).assumptions,
              Contains("measured time=none: '5' of metric 'furlongs' gives no step time: see "
                       "derived_step_time_s"));
}

}  // namespace
}  // namespace soapbox::runner
