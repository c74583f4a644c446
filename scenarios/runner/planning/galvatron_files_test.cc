#include "scenarios/runner/planning/galvatron_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

// AFDWang/Hetu-Galvatron@0beac24 llama_fa, computation_profiling_bf16_hidden4096_head32_seqlen2048:
// the two-layer model took longer than the four-layer one, so the layer time came out negative.
TEST(GalvatronFiles, ThePublishedProfileWithANegativeTimeIsRefused) {
  const auto profile = parse_galvatron_profile(R"({
    "layernum[2]_bsz1_seq2048": 29.552006149291987,
    "layernum[4]_bsz1_seq2048": 24.8121919631958,
    "layertype_0_bsz1_seq2048": -2.369907093048093,
    "layertype_other_0_bsz1_seq2048": 34.291820335388174
})",
                                               "llama_fa.json");
  ASSERT_FALSE(profile);
  EXPECT_EQ(profile.error().to_string(),
            "llama_fa.json:4:5: layertype_0_bsz1_seq2048 is -2.369907093048093 ms; a measured "
            "figure is above 0");
}

// AFDWang/Hetu-Galvatron@0beac24: llama_hf at 4096, T5-3B, and Swin-Huge, which has nothing but its
// layers. Both forms of memory: with a sequence length, and in older files without.
TEST(GalvatronFiles, MemoryAndOlderKeysAreRead) {
  const auto good = parse_galvatron_profile(R"({
    "layernum[6]_bsz2": 77.27328643798828,
    "layertype_other_0_bsz1": 5.786131095886223,
    "layertype_other_bsz12_seq[3136,784,196,49]": 0,
    "1_1_8_sp": {"layernum[1,1]_bsz8_seq[512,512]_rank0_ms": 434.73974609375},
    "layertype_0": {"parameter_size": 773.2509765625,
                    "tp_activation_per_bsz_dict": {"1": 301.28173828125, "checkpoint": 16.0}},
    "layertype_1_sp": {"512": {"parameter_size": 258.19140625,
                               "tp_activation_per_bsz_dict": {"2": 39.228515625}}},
    "other_memory_pp_on_first": {"model_states": 2157.0, "activation": 46.5582275390625},
    "other_memory_pp_off_sp": {"[512,512]": {"model_states": {"4": 459.1103515625},
                                             "activation": {"4": 13.2642822265625}}}
})",
                                            "x.json");
  ASSERT_TRUE(good) << good.error().to_string();
  ASSERT_EQ(good->layers.size(), 3u);
  EXPECT_EQ(good->layers[1].layer, "layertype_other");
  EXPECT_EQ(good->layers[1].seq, "");
  EXPECT_EQ(good->layers[2].seq, "[3136,784,196,49]");
  ASSERT_EQ(good->memory.size(), 2u);
  EXPECT_DOUBLE_EQ(good->memory[0].checkpoint_mb, 16);
  EXPECT_TRUE(good->memory[1].sequence_parallel);
  EXPECT_EQ(good->memory[1].seq, "512");
  ASSERT_EQ(good->other_memory.size(), 2u);
  EXPECT_EQ(good->other_memory[0].place, "pp_on_first");
  EXPECT_DOUBLE_EQ(good->other_memory[0].states_mb.at(1), 2157);
  EXPECT_DOUBLE_EQ(good->other_memory[1].activation_mb.at(4), 13.2642822265625);
}

TEST(GalvatronFiles, MemoryThatCannotBeIsRefusedAtItsPlace) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {R"({"layertype_0": {"parameter_size": -1, "tp_activation_per_bsz_dict": {"1": 2}}})",
       "x.json:1:18: parameter_size is -1 MB; a measured figure is not below 0"},
      {R"({"layertype_0": {"parameter_size": 1, "tp_activation_per_bsz_dict": {"x": 2}}})",
       "x.json:1:70: 'x' is no degree of tensor parallelism"},
      {R"({"layertype_0": {"parameter_size": 1}})", "has no figure"},
      {R"({"other_memory_pp_off": {"abc": {"model_states": 1}}})", "is no sequence length"},
  };
  for (const auto& [text, error] : cases) {
    const auto profile = parse_galvatron_profile(text, "x.json");
    ASSERT_FALSE(profile) << text;
    EXPECT_THAT(profile.error().to_string(), HasSubstr(error));
  }
}

// The test suite of the same repository, search_configs.py: small dips between message sizes.
TEST(GalvatronFiles, MeasuredFiguresAreRead) {
  const auto profile = parse_galvatron_profile(R"({
    "layertype_0_bsz1_seq4096": 12.4057201385498,
    "allreduce_size_8_consec_1": 160.445, "allreduce_size_4_consec_0": 165.493,
    "pp_size_2": 147.32,
    "all2all_size_8_1MB_time": 0.1124, "all2all_size_8_2MB_time": 0.1135,
    "all2all_size_8_4MB_time": 0.1109, "all2all_size_2_256MB_time": 0.8806,
    "all2all_size_2_512MB_time": 1.7752, "overlap_coe": 1.1534195950157762
})",
                                               "x.json");
  ASSERT_TRUE(profile) << profile.error().to_string();
  ASSERT_EQ(profile->layers.size(), 1u);
  EXPECT_EQ(profile->layers[0].layer, "layertype_0");
  EXPECT_EQ(profile->layers[0].seq, "4096");
  ASSERT_EQ(profile->bandwidths.size(), 3u);
  EXPECT_FALSE(profile->bandwidths[1].consecutive);
  EXPECT_EQ(profile->bandwidths[2].op, "pp");
  EXPECT_EQ(profile->messages.size(), 5u);
  EXPECT_DOUBLE_EQ(profile->overlap, 1.1534195950157762);
}

TEST(GalvatronFiles, ABandwidthThatFallsIsRefused) {
  const auto profile = parse_galvatron_profile(R"({
"allreduce_size_4_64MB_time": 0.5,
"allreduce_size_4_128MB_time": 2.0
})",
                                               "sp.json");
  ASSERT_FALSE(profile);
  EXPECT_EQ(
      profile.error().to_string(),
      "sp.json:3:1: allreduce_size_4_128MB_time is 2 ms, 64 GB/s, where smaller messages reach "
      "128; bandwidth does not fall as messages grow");
}

TEST(GalvatronFiles, UnknownKeysAndValuesOfOtherKindsAreRefused) {
  for (const char* bad :
       {R"({"layertype_0_bszx": 1})", R"({"allreduce_size_8_consec_2": 1})", R"({"x": 1})",
        R"({"pp_size_2": "fast"})", R"({"pp_size_2": 0})", R"({"overlap_coe": 0.5})", "[1]", "{"}) {
    EXPECT_FALSE(parse_galvatron_profile(bad, "x.json")) << bad;
  }
}

// Hsword/Hetu@df32daa galvatron_config_8gpus_1280hidden_32layers_8G_full: older keys alone.
std::string shipped_plan() {
  std::string tp = "2", consecutive = "1", sharded = "0";
  for (int i = 1; i < 32; ++i) {
    tp += ",2";
    consecutive += ",1";
    sharded += i == 15 || i == 31 ? ",1" : ",0";
  }
  return "{\"pp_deg\": 2, \"tp_sizes_enc\": \"" + tp + "\", \"tp_consecutive_flags\": \"" +
         consecutive + "\", \"dp_types_enc\": \"" + sharded +
         "\", \"global_bsz\": 8, \"chunks\": 2}";
}

TEST(GalvatronFiles, AShippedPlanIsReadAndWrittenBack) {
  const auto plan = parse_galvatron_plan(shipped_plan(), "plan.json", 8);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_THAT(plan->stage_layers, testing::ElementsAre(16, 16));
  EXPECT_EQ(to_string(plan->layers[0]), "2-2*-2");
  EXPECT_EQ(to_string(plan->layers[15]), "2-2*-2f");
  EXPECT_EQ(plan->global_batch, 8);
  const auto again = parse_galvatron_plan(galvatron_plan_to_json(*plan), "again.json", 8);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, *plan);
}

TEST(GalvatronFiles, PlansThatDoNotFitAreRefused) {
  const struct {
    const char* text;
    const char* part;
  } cases[] = {
      {R"({"pp_deg": 2, "tp_sizes_enc": "1,1", "dp_types_enc": "0", "global_bsz": 8})",
       "x.json:1:38: dp_types_enc has 1 entries, where there are 2 layers"},
      {R"({"pp_deg": 1, "tp_sizes_enc": "3,1", "global_bsz": 8})", "does not divide 8 devices"},
      {R"({"pp_deg": 2, "tp_sizes_enc": "1,1", "global_bsz": 8, "pp_division": "1,2"})",
       "pp_division counts 3 layers of 2"},
      {R"({"pp_deg": 1, "tp_sizes_enc": "1,a", "global_bsz": 8})", "not a list of numbers"},
      {R"({"pp_deg": 1, "tp_sizes_enc": "1", "global_bsz": 8, "pipeline_type": "zb"})",
       "allowed: gpipe, pipedream_flush"},
      {R"({"pp_deg": 16, "tp_sizes_enc": "1", "global_bsz": 8})", "16"},
  };
  for (const auto& [text, part] : cases) {
    const auto plan = parse_galvatron_plan(text, "x.json", 8);
    ASSERT_FALSE(plan) << text;
    EXPECT_THAT(plan.error().to_string(), HasSubstr(part));
  }
}

}  // namespace
}  // namespace soapbox::runner
