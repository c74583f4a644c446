#include "sim/model/transformers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

namespace soapbox {
namespace {

using testing::HasSubstr;

Transformer named(std::string_view name) {
  const Result<const TransformerRow*> row = find_transformer(name);
  EXPECT_TRUE(row) << name;
  return make_transformer(**row);
}

TEST(Transformers, EveryRowBuildsAndSaysItsSource) {
  for (const TransformerRow& row : transformer_table()) {
    const Transformer model = make_transformer(row);
    EXPECT_EQ(model.name, row.name);
    EXPECT_FALSE(model.source.empty()) << row.name;
    EXPECT_TRUE(check_transformer(model)) << row.name;
    EXPECT_GE(model.parameter_count(), model.active_parameters()) << row.name;
    EXPECT_EQ(model.layers.front().kind, LayerKind::kEmbedding);
    EXPECT_EQ(model.layers.back().kind, LayerKind::kHead);
  }
}

TEST(Transformers, UnknownNameIsRefusedWithTheNearest) {
  const auto row = find_transformer("llama2-7b");
  ASSERT_FALSE(row);
  EXPECT_THAT(row.error().message, HasSubstr("did you mean 'llama2_7b'?"));
}

// Parameters of the released checkpoints, as their model cards or tensor indices add up.
struct Published {
  const char* name;
  int64_t parameters;
};
constexpr Published kPublished[] = {
    {"gpt2_small", 124'439'808},
    {"gpt2_medium", 354'823'168},
    {"gpt2_large", 774'030'080},
    {"gpt2_xl", 1'557'611'200},
    {"llama2_7b", 6'738'415'616},
    {"llama2_13b", 13'015'864'320},
    {"llama2_70b", 68'976'648'192},
    {"llama3_8b", 8'030'261'248},
    {"llama3_70b", 70'553'706'496},
    {"llama3_405b", 405'853'388'800},
    {"mistral_7b", 7'241'732'096},
    {"mixtral_8x7b", 46'702'792'704},
    {"deepseek_v2", 235'741'434'880},
    {"deepseek_v2_lite", 15'706'484'224},
    // 671,026,419,200 with the 256 balancing biases of 58 blocks, which no gradient trains.
    {"deepseek_v3", 671'026'419'200 - 58 * 256},
    {"gpt_oss_120b", 116'829'156'672},
    {"gpt_oss_20b", 20'914'757'184},
    {"gpt_neox_20b", 20'554'567'680},
    {"opt_1_3b", 1'315'758'080},
    {"opt_6_7b", 6'658'473'984},
    {"qwen2_7b", 7'615'616'512},
    {"qwen3_8b", 8'190'735'360},
    {"qwen3_30b_a3b", 30'532'122'624},
    {"qwen3_235b_a22b", 235'093'634'560},
    {"baichuan2_7b", 7'505'973'248},
    {"baichuan2_13b", 13'896'668'160},
    {"deepseek_7b", 6'910'365'696},
    {"qwen1_5_moe_a2_7b", 14'315'784'192},
    {"gemma_2b", 2'506'172'416},
    {"gemma_7b", 8'537'680'896},
    {"llama3_2_1b", 1'235'814'400},
    {"llama3_2_3b", 3'212'749'824},
    {"mistral_large_123b", 122'610'069'504},
    {"mistral_nemo_12b", 12'247'782'400},
    {"mistral_small_24b", 23'572'403'200},
    {"opt_125m", 125'239'296},
    {"opt_2_7b", 2'651'596'800},
    {"opt_30b", 29'974'540'288},
    {"phi3_mini", 3'821'079'552},
    {"phi3_medium", 13'960'238'080},
    {"phi4_14b", 14'659'507'200},
    {"pythia_160m", 162'322'944},
    {"pythia_410m", 405'334'016},
    {"pythia_1_4b", 1'414'647'808},
    {"pythia_2_8b", 2'775'208'960},
    {"pythia_6_9b", 6'857'302'016},
    {"pythia_12b", 11'846'072'320},
    {"qwen2_5_0_5b", 494'032'768},
    {"qwen2_5_1_5b", 1'543'714'304},
    {"qwen2_5_3b", 3'085'938'688},
    {"qwen2_5_14b", 14'770'033'664},
    {"qwen2_5_32b", 32'763'876'352},
    {"qwen2_72b", 72'706'203'648},
    {"qwen3_0_6b", 596'049'920},
    {"qwen3_1_7b", 1'720'574'976},
    {"qwen3_4b", 4'022'468'096},
    {"qwen3_14b", 14'768'307'200},
    {"qwen3_32b", 32'762'123'264},
    {"smollm2_1_7b", 1'711'376'384},
    {"tinyllama_1_1b", 1'100'048'384},
    {"yi_6b", 6'061'035'520},
    {"yi_34b", 34'388'917'248},
    {"t5_base", 222'903'552},
    {"t5_large", 737'668'096},
    {"swin_large", 196'532'476},
    {"vit_large", 304'326'632},
    // With the head of masked language modelling: 335,141,888 with a pooler (1024 x 1025) in
    // its place, of which the head has 1024 x 1025 + 2 x 1024 + 30,522.
    {"bert_large", 335'141'888 + 2 * 1024 + 30'522},
    {"bert_base", 109'482'240 + 2 * 768 + 30'522},
};

TEST(Transformers, ParametersAreThoseOfTheReleasedModels) {
  for (const Published& row : kPublished) {
    EXPECT_EQ(named(row.name).parameter_count(), row.parameters) << row.name;
  }
}

// What papers print, to the digits that they print.
TEST(Transformers, ParametersRoundToWhatPapersPrint) {
  struct Printed {
    const char* name;
    double billions;
    double rounding;
  };
  constexpr Printed kPrinted[] = {
      // Narayanan et al. 2021, table 1.
      {"megatron_1_7b", 1.7, 0.05},
      {"megatron_3_6b", 3.6, 0.05},
      {"megatron_7_5b", 7.5, 0.05},
      {"megatron_18b", 18.4, 0.05},
      {"megatron_39b", 39.1, 0.05},
      {"megatron_76b", 76.1, 0.05},
      {"megatron_145b", 145.6, 0.05},
      {"megatron_310b", 310.1, 0.05},
      {"megatron_530b", 529.6, 0.05},
      {"megatron_1t", 1008.0, 0.05},
      {"megatron_5_9b", 5.9, 0.05},
      {"megatron_162b", 162.2, 0.05},
      {"gpt3_175b", 174.6, 0.05},
      {"megatron_22b", 22, 0.5},
      // llm-foundry's tables of MPT at 2,048 tokens.
      {"mpt_125m", 0.125311, 5e-7},
      {"mpt_350m", 0.355985, 5e-7},
      {"mpt_760m", 0.760471, 5e-7},
      {"mpt_1b", 1.31595, 5e-6},
      {"mpt_3b", 2.65184, 5e-6},
      {"mpt_7b", 6.65886, 5e-6},
      {"mpt_13b", 12.854, 5e-4},
      {"mpt_30b", 29.9752, 5e-5},
      {"mpt_70b", 64.8624, 5e-5},
      {"llama_7b", 6.7, 0.05},
      {"llama_13b", 13.0, 0.05},
      {"llama_33b", 32.5, 0.05},
      {"llama_65b", 65.2, 0.1},
      {"mixtral_8x22b", 140.6, 0.05},
      {"nemotron4_15b", 3.2 + 12.5, 0.1},    // embeddings and the rest
      {"nemotron4_340b", 9.4 + 331.6, 0.1},  // the same
      {"bert_huge", 0.672, 0.003},           // Galvatron's figure, recalled
      {"vit_huge", 0.632, 0.0005},
      {"swin_huge", 1.02, 0.005},
      {"codellama_34b", 33.7, 0.05},
      {"glm_130b", 130, 1.5},
      {"grok1_314b", 314, 3},
      {"kimi_k2", 1030, 5},
      {"bloom_176b", 176.247, 0.001},
      {"bloom_7b", 7.069, 0.001},
      {"dbrx_132b", 132, 0.5},
      {"deepseek_67b", 67.4, 0.1},
      {"moonlight_16b_a3b", 16, 0.1},
      {"opt_66b", 65.7, 0.05},
      {"opt_175b", 175, 1},
      {"llama4_maverick", 400, 2},
      {"llama4_scout", 109, 2},
  };
  for (const Printed& row : kPrinted) {
    EXPECT_NEAR(static_cast<double>(named(row.name).parameter_count()) / 1e9, row.billions,
                row.rounding)
        << row.name;
  }
}

TEST(Transformers, ActiveParametersAreThePublishedOnes) {
  const auto billions = [](std::string_view name) {
    return static_cast<double>(named(name).active_parameters()) / 1e9;
  };
  EXPECT_NEAR(billions("mixtral_8x7b"), 12.9, 0.05);
  EXPECT_NEAR(billions("mixtral_8x22b"), 39, 0.5);
  EXPECT_NEAR(billions("deepseek_v2"), 21, 0.5);
  EXPECT_NEAR(billions("deepseek_v3"), 37, 0.6);
  EXPECT_NEAR(billions("qwen3_30b_a3b"), 3.3, 0.1);
  EXPECT_NEAR(billions("qwen3_235b_a22b"), 22, 0.5);
  EXPECT_NEAR(billions("kimi_k2"), 32, 1);
  EXPECT_NEAR(billions("llama4_maverick"), 17, 0.5);
  EXPECT_NEAR(billions("llama4_scout"), 17, 0.5);
  EXPECT_EQ(named("llama3_8b").active_parameters(), named("llama3_8b").parameter_count());
}

}  // namespace
}  // namespace soapbox
