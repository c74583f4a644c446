// Published profiles of LLaMA-7B's layers on 8 A100 (strategies/galvatron/testdata/README.md).
#include "scenarios/runner/planning/galvatron_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/test_program.h"
#include "sim/base/str.h"
#include "sim/model/transformers.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string kPublished =
    str_cat(SOAPBOX_SOURCE_DIR, "/strategies/galvatron/testdata/llama_7b_a100");

Transformer model(const char* name) {
  return make_transformer(**find_transformer(name));
}

TEST(GalvatronFolder, ThePublishedFiguresAreRead) {
  const auto profile = read_galvatron_folder(kPublished, model("llama_7b"), {1, 8});
  ASSERT_TRUE(profile) << profile.error().to_string();
  ASSERT_EQ(profile->types.size(), 1u);
  const auto& block = profile->types[0];
  EXPECT_EQ(block.layers, 32);
  EXPECT_DOUBLE_EQ(block.parameter_mb, 773.2509765625);
  EXPECT_DOUBLE_EQ(block.activation_mb_per_sample.at(4), 123.0938720703125);
  EXPECT_DOUBLE_EQ(block.checkpoint_mb_per_sample, 16);
  // The line through the batches of the file, as fitted apart: 4.892 ms per sample and 1.47 ms.
  EXPECT_NEAR(block.forward.ms_per_sample, 4.892, 1e-3);
  EXPECT_NEAR(block.forward.fixed_ms, 1.472, 1e-3);
  EXPECT_DOUBLE_EQ(profile->vocab_alone.states_mb.at(8), 648.57861328125);
  EXPECT_DOUBLE_EQ(profile->all_reduce_gb_per_s.at({4, false}), 155.815);
  EXPECT_DOUBLE_EQ(profile->p2p_gb_per_s.at(8), 109.45);
  EXPECT_DOUBLE_EQ(profile->overlap_slowdown, 1.125552573612729);
}

TEST(GalvatronFolder, AnotherModelClusterOrFolderIsRefused) {
  const struct {
    const char* model;
    GalvatronCluster cluster;
    std::string folder;
    const char* part;
  } cases[] = {
      {"bert_huge",
       {1, 8},
       kPublished,
       "773.2509765625 MB of parameters; a block of bert_huge has"},
      {"swin_huge", {1, 8}, kPublished, "between its blocks"},
      {"llama_7b", {4, 8}, kPublished, "allreduce_bandwidth_4nodes_8gpus_per_node.json"},
      {"llama_7b", {1, 8}, kPublished + "/..", "must have one such file; it has none"},
      {"llama_7b", {1, 8}, "/nowhere", "is not a folder"},
  };
  for (const auto& [name, cluster, folder, part] : cases) {
    const auto profile = read_galvatron_folder(folder, model(name), cluster);
    ASSERT_FALSE(profile) << part;
    EXPECT_THAT(profile.error().to_string(), HasSubstr(part));
  }
}

std::vector<std::string> search(const std::string& folder, std::vector<std::string> more) {
  std::vector<std::string> words = {
      "search", "--model",  "llama_7b", "--cluster",      "dgx_a100", "--galvatron-profiles",
      folder,   "--format", "json",     "--global-batch", "16",       "--method"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// A stored run is of its profiles: with another figure it is another run, not another result of
// the same one.
TEST(GalvatronFolder, EveryFigureIsPartOfARunsIdentity) {
  const ProgramFolder folder;
  const std::string copy = folder.path("profiles");
  std::filesystem::copy(kPublished, copy, std::filesystem::copy_options::recursive);
  ASSERT_EQ(folder.run(search(copy, {"miqp", "--db", "x.db"})).exit_code, 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(copy)) {
    if (entry.path().filename().string().find("overlap") == std::string::npos) continue;
    std::ofstream(entry.path()) << R"({"overlap_coe": 1.5})";
  }
  const Ran again = folder.run(search(copy, {"miqp", "--db", "x.db"}));
  EXPECT_EQ(again.exit_code, 0) << again.messages;
}

TEST(GalvatronFolder, PlannersPlanOnPublishedProfiles) {
  const ProgramFolder folder;
  const Ran ran = folder.run(search(kPublished, {"miqp"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  const json joint = json::parse(ran.output);
  EXPECT_EQ(joint.at("proven"), true);
  EXPECT_EQ(joint.at("tables"), "galvatron profiles");
  for (const char* rival : {"galvatron", "alpa", "megatron"}) {
    const json row = json::parse(folder.run(search(kPublished, {rival})).output);
    EXPECT_GE(row.at("objective_s").get<double>(),
              joint.at("objective_s").get<double>() * (1 - 1e-9));
  }
  const Ran own =
      folder.run(search(kPublished, {"galvatron", "--cost-model", "own", "--microbatches", "2"}));
  ASSERT_EQ(own.exit_code, 0) << own.messages;
  EXPECT_EQ(json::parse(own.output).at("cost_model"), "own");
  EXPECT_EQ(json::parse(own.output).at("solver"), "Galvatron-2");
}

// AFDWang/Hetu-Galvatron@0beac24 llama_fa: the two-layer model took longer than the four-layer one.
TEST(GalvatronFolder, ABadFigureIsRefusedAtItsLine) {
  const ProgramFolder folder;
  const std::string bad = folder.path("profiles");
  std::filesystem::copy(kPublished, bad);
  std::ofstream(bad + "/computation_profiling_bf16_hidden4096_head32_seqlen2048.json")
      << "{\n    \"layernum[2]_bsz1\": 29.552006149291987,\n"
         "    \"layernum[4]_bsz1\": 24.8121919631958,\n"
         "    \"layertype_0_bsz1\": -2.369907093048093\n}\n";
  const Ran ran = folder.run(search(bad, {"miqp"}));
  EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kBadInput));
  EXPECT_THAT(ran.messages,
              HasSubstr("computation_profiling_bf16_hidden4096_head32_seqlen2048.json:4:5: "
                        "layertype_0_bsz1 is -2.369907093048093 ms; a measured figure is above 0"));
}

TEST(GalvatronFolder, MegatronHasNoCostModelOfItsOwn) {
  const ProgramFolder folder;
  const Ran ran = folder.run(search(kPublished, {"megatron", "--cost-model", "own"}));
  EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(ran.messages, HasSubstr("megatron was published without a cost model"));
  EXPECT_EQ(folder.run(search(kPublished, {"miqp", "--cost-model", "owm"})).exit_code,
            static_cast<int>(ExitCode::kUsage));
}

}  // namespace
}  // namespace soapbox::runner
