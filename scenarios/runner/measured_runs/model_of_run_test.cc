#include "scenarios/runner/measured_runs/model_of_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soapbox::runner {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

MeasuredRun named(std::string model) {
  MeasuredRun run;
  run.id = "X-1";
  run.model = std::move(model);
  run.gpu = "H100-SXM";
  run.num_gpus = 8;
  return run;
}

Transformer built(const MeasuredRun& run) {
  Assumptions assumptions;
  const Result<Transformer> model = model_of_run(run, assumptions);
  EXPECT_TRUE(model) << model.error().to_string();
  return *model;
}

std::string refusal(const MeasuredRun& run) {
  Assumptions assumptions;
  const Result<Transformer> model = model_of_run(run, assumptions);
  return model ? "accepted" : model.error().to_string();
}

TEST(ModelOfRun, ANameAloneGivesThePublishedModel) {
  // Parameters as released: 8.03, 70.6, 405.9, 314 and 671 billion.
  EXPECT_NEAR(double(built(named("llama3-8b")).parameter_count()), 8.03e9, 0.01e9);
  EXPECT_NEAR(double(built(named("Llama3-70B-SFT")).parameter_count()), 70.6e9, 0.1e9);
  EXPECT_NEAR(double(built(named("llama3.1-405b")).parameter_count()), 405.9e9, 0.5e9);
  EXPECT_NEAR(double(built(named("grok1-314b")).parameter_count()), 314e9, 3e9);
  EXPECT_NEAR(double(built(named("deepseek-v3")).parameter_count()), 671e9, 2e9);
  EXPECT_NEAR(double(built(named("bert-large-pretrain")).parameter_count()), 0.335e9, 0.005e9);
}

TEST(ModelOfRun, WhatTheRunStatesComesBeforeTheTable) {
  MeasuredRun run = named("llama3.1-405b");
  run.layers = 7;  // a proxy with fewer layers
  run.seq_len = 4096;
  Assumptions assumptions;
  const Result<Transformer> model = model_of_run(run, assumptions);
  ASSERT_TRUE(model);
  EXPECT_EQ(model->block_count(), 7);
  EXPECT_EQ(model->layers[1].seq_len, 4096);
  EXPECT_EQ(model->layers[1].hidden, 16384);
  EXPECT_THAT(assumptions.list(), Contains("hidden=16384: not stated, as llama3_405b"));
}

TEST(ModelOfRun, AFamilyCompletesWhatARunDoesNotState) {
  MeasuredRun run = named("gpt-6.2b");
  run.layers = 30;
  run.hidden = 4096;
  run.heads = 32;
  run.seq_len = 1024;
  run.flash_attention = "no";
  Assumptions assumptions;
  const Result<Transformer> model = model_of_run(run, assumptions);
  ASSERT_TRUE(model) << model.error().to_string();
  // 30 blocks of 12 h^2 + 13 h, a table of 51,200 rows and 1,024 positions, and the last norm.
  EXPECT_EQ(model->parameter_count(),
            30 * (12 * 4096LL * 4096 + 13 * 4096) + (51200 + 1024) * 4096LL + 2 * 4096);
  EXPECT_EQ(model->layers[1].dropout, 0.1);
  EXPECT_THAT(assumptions.list(), Contains("vocab=51200: not stated, usual for the family"));
  EXPECT_THAT(assumptions.list(), Contains("ffn_hidden=16384: not stated, 4 x hidden"));
}

TEST(ModelOfRun, OneModelHasManySpellings) {
  const int64_t llama = built(named("llama3-8b")).parameter_count();
  for (const char* const name : {"Llama-3-8B", "meta-llama/Meta-Llama-3-8B", "Llama 3.1 8B",
                                 "llama3.1-8b-instruct", "meta-llama/Llama-3.1-8B-Instruct"}) {
    EXPECT_EQ(built(named(name)).parameter_count(), llama) << name;
  }
  EXPECT_EQ(built(named("Qwen/Qwen2.5-7B-Instruct")).parameter_count(), 7'615'616'512);
  EXPECT_EQ(built(named("qwen1.5_14B_MoE")).parameter_count(), 14'315'784'192);
  EXPECT_EQ(built(named("Llama-3.3-70B")).block_count(), 80);
  EXPECT_EQ(built(named("GPT-3 175B")).parameter_count(),
            built(named("gpt3-175b")).parameter_count());
  EXPECT_EQ(built(named("Mixtral 8x7B")).parameter_count(),
            built(named("mixtral-8x7b")).parameter_count());
}

TEST(ModelOfRun, SizesAreEnoughWhereTheNameIsNotKnown) {
  MeasuredRun run = named("aurora-7b");
  run.layers = 32;
  run.hidden = 4096;
  run.heads = 32;
  run.vocab = 32000;
  // A gated MLP is not 4 x hidden wide; else it is GPT's, four times as wide.
  run.ffn_hidden = 11008;
  EXPECT_EQ(built(run).parameter_count(), built(named("llama2-7b")).parameter_count());
  run.ffn_hidden = 16384;
  run.seq_len = 2048;
  EXPECT_EQ(built(run).parameter_count(),
            32 * (12 * 4096LL * 4096 + 13 * 4096) + (32000 + 2048) * 4096LL + 2 * 4096);
  Assumptions assumptions;
  ASSERT_TRUE(model_of_run(run, assumptions));
  EXPECT_THAT(assumptions.list(), Contains(HasSubstr("model=gpt3_175b: kind, by the sizes")));
}

TEST(ModelOfRun, AFamilyWithoutSizesIsTheNearestInParameters) {
  EXPECT_EQ(built(named("gpt-13b")).block_count(), 40);  // that of GPT-3
  EXPECT_EQ(built(named("vicuna-13b")).layers[1].hidden, 5120);
  EXPECT_EQ(built(named("Vicuna1_7B")).layers[1].hidden, 4096);  // its first version, of 7 billion
  EXPECT_THAT(refusal(named("qwen2-57b-a14b")), HasSubstr("no model of that name or near"));
  EXPECT_THAT(refusal(named("aurora-7b")), HasSubstr("or state its layers and hidden"));
}

TEST(ModelOfRun, NotesMayUntieTheHead) {
  MeasuredRun run = named("gpt-7b-gqa");
  run.layers = 32;
  run.hidden = 4096;
  run.heads = 32;
  run.kv_heads = 8;
  run.vocab = 131072;
  const int64_t tied = built(run).parameter_count();
  run.notes = "GeLU MLP (no swiglu), untied embeddings, GQA 8 groups";
  EXPECT_EQ(built(run).parameter_count() - tied, int64_t{131072} * 4096);
}

TEST(ModelOfRun, AStatedNumberOfParametersIsCompared) {
  MeasuredRun run = named("llama2-7b");
  run.params_b = 13;
  Assumptions assumptions;
  ASSERT_TRUE(model_of_run(run, assumptions));
  EXPECT_THAT(assumptions.list(), Contains("params_b=6.738: by the sizes; the run states 13"));
}

TEST(ModelOfRun, WhatIsNoStackOrNotKnownIsRefusedWithTheReason) {
  EXPECT_THAT(refusal(named("nemotron-h-56b")), HasSubstr("state-space model"));
  EXPECT_THAT(refusal(named("resnet50v1.5")), HasSubstr("convolutional"));
  EXPECT_THAT(refusal(named("gpt-91b")), HasSubstr("layers or hidden is not stated"));
  EXPECT_THAT(refusal(named("lama2")), HasSubstr("unknown model 'lama2'"));
  MeasuredRun run = named("gpt-x");
  run.layers = 4;
  run.hidden = 1000;
  run.heads = 7;
  EXPECT_THAT(refusal(run), HasSubstr("heads 7"));
}

TEST(ModelOfRun, AnsweringQuestionsNeedsNoVocabularyInTheHead) {
  MeasuredRun run;
  run.gpu = "A100-SXM";
  run.model = "bert-large";
  Assumptions assumptions;
  const Transformer bert = model_of_run(run, assumptions).value();
  run.model = "bert-large-squad";
  const Transformer answering = model_of_run(run, assumptions).value();
  EXPECT_EQ(answering.layers.back().vocab, 2);
  EXPECT_EQ(answering.layers.size(), bert.layers.size());
  EXPECT_LT(answering.parameter_count(), bert.parameter_count());
}

}  // namespace
}  // namespace soapbox::runner
