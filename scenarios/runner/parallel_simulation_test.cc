// The real program simulating Transformer plans.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/test_program.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;
using testing::HasSubstr;

Ran simulate(const std::vector<std::string>& more) {
  std::vector<std::string> words = {"simulate", "--cluster", "dgx_a100_80g", "--format", "json"};
  words.insert(words.end(), more.begin(), more.end());
  return ProgramFolder().run(words);
}

const std::vector<std::string> kGpt3 = {"--model",
                                        "gpt3_175b",
                                        "--devices",
                                        "64",
                                        "--recipe",
                                        "megatron",
                                        "--tp",
                                        "8",
                                        "--pp",
                                        "4",
                                        "--micro-batch",
                                        "1",
                                        "--global-batch",
                                        "32",
                                        "--seq-len",
                                        "2048",
                                        "--zero",
                                        "1",
                                        "--sequence-parallel",
                                        "on",
                                        "--recompute",
                                        "selective"};

TEST(ParallelSimulation, PrintsWhatItPromises) {
  const Ran ran = simulate(kGpt3);
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  const json record = json::parse(ran.output);
  for (const char* key :
       {"iteration_time_s", "low_s", "high_s", "samples_per_s", "mfu", "bubble_fraction",
        "exposed_communication_s", "peak_memory_bytes", "lower_bound_s", "gap", "tasks"}) {
    ASSERT_TRUE(record.contains(key) && record[key].is_number()) << key;
  }
  EXPECT_EQ(record["feasible"], true);
  EXPECT_EQ(record["microbatches"], 16);
  EXPECT_EQ(record["dp"], 2);
  EXPECT_LT(record["low_s"], record["iteration_time_s"]);
  EXPECT_GT(record["high_s"], record["iteration_time_s"]);
  // 1F1B fills and drains for (p - 1) of (m + p - 1) passes: 3 / 19 where stages are equal and
  // nothing runs beside them. The last stage has the head, and the first passes and the last ones
  // share their devices with the traffic of parameters and gradients.
  EXPECT_NEAR(record["bubble_fraction"].get<double>(), 3.0 / 19, 0.05);
  int64_t total = 0;
  for (const auto& [name, bytes] : record["memory_by_component"].items()) {
    total += bytes.get<int64_t>();
  }
  EXPECT_EQ(record["peak_memory_bytes"], total);
}

// Without data ranks nothing but the pipeline makes a device wait: the closed form, (p - 1) of
// (m + p - 1) passes. With them the first stage also waits for its parameters, and the others for
// the first, which counts as bubble.
TEST(ParallelSimulation, TheBubbleIsThatOfThePipelineAlone) {
  std::vector<std::string> words = kGpt3;
  *(std::find(words.begin(), words.end(), "--devices") + 1) = "32";
  *(std::find(words.begin(), words.end(), "--global-batch") + 1) = "16";
  // It does not fit on so few devices, and is simulated all the same.
  const json record = json::parse(simulate(words).output);
  EXPECT_EQ(record["dp"], 1);
  EXPECT_EQ(record["microbatches"], 16);
  EXPECT_NEAR(record["bubble_fraction"].get<double>(), 3.0 / 19, 0.02);
}

TEST(ParallelSimulation, FoldingGivesTheSameTimes) {
  std::vector<std::string> words = kGpt3;
  words.insert(words.end(), {"--fold", "off"});
  const json whole = json::parse(simulate(words).output);
  const json folded = json::parse(simulate(kGpt3).output);
  EXPECT_EQ(whole["iteration_time_s"], folded["iteration_time_s"]);
  EXPECT_GT(whole["tasks"], folded["tasks"]);
}

TEST(ParallelSimulation, WhatDoesNotFitIsExplainedAndStillPrinted) {
  const Ran ran =
      simulate({"--model", "llama2_70b", "--devices", "8", "--recipe", "megatron", "--tp", "8"});
  EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kInfeasible));
  EXPECT_THAT(ran.messages, HasSubstr("out of memory on node0.gpu0"));
  const json record = json::parse(ran.output);
  EXPECT_EQ(record["feasible"], false);
  EXPECT_GT(record["peak_memory_bytes"], record["available_memory_bytes"]);
}

TEST(ParallelSimulation, RefusesWhatContradictsItself) {
  const auto refused = [](std::vector<std::string> words, const std::string& part) {
    const Ran ran = simulate(words);
    EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kUsage)) << ran.messages;
    EXPECT_EQ(ran.output, "");
    EXPECT_THAT(ran.messages, HasSubstr(part));
  };
  const std::vector<std::string> base = {"--model", "llama2_7b", "--devices", "8"};
  const auto megatron = [&](std::vector<std::string> more) {
    std::vector<std::string> words = base;
    words.insert(words.end(), {"--recipe", "megatron"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  refused(megatron({"--tp", "3"}), "a divisor of the 8 devices");
  refused(megatron({"--tp", "0"}), "--tp '0' is not a whole number");
  refused(megatron({"--schedule", "1f2b"}), "1f1b");
  refused(megatron({"--schedule", "gpipe", "--vpp", "2", "--pp", "2"}), "vpp 2");
  refused(megatron({"--ep", "2"}), "expert_parallel 2");
  refused(megatron({"--global-batch", "12"}), "a multiple of --micro-batch 1 x 8");
  refused(megatron({"--sequence-parallel", "yes"}), "allowed: on, off");
  refused(megatron({"--network", "fair"}), "--network is for recipes that place operators");
  std::vector<std::string> words = base;
  words.insert(words.end(), {"--recipe", "data_parallel", "--tp", "2"});
  refused(words, "--tp needs --recipe megatron, fsdp or deepspeed_zero");
  EXPECT_EQ(simulate({"--model", "alexnet", "--recipe", "megatron"}).exit_code,
            static_cast<int>(ExitCode::kBadInput));
}

}  // namespace
}  // namespace soapbox::runner
