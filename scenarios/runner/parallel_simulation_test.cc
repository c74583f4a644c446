// The real program simulating Transformer plans.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "scenarios/runner/test_program.h"
#include "sim/base/str.h"

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

// A plan as a file: what one command writes, another one simulates in the same time.
class PlanFiles : public testing::Test {
 protected:
  json run(const std::vector<std::string>& words, ExitCode code = ExitCode::kOk) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--format", "json"});
    const Ran ran = folder_.run(all);
    EXPECT_EQ(ran.exit_code, static_cast<int>(code)) << ran.messages;
    return json::parse(ran.output, nullptr, false);
  }
  std::string text_of(const std::string& name) { return *read_text_file(folder_.path(name)); }
  ProgramFolder folder_;
};

TEST_F(PlanFiles, ASimulatedPlanIsWrittenAndReadAgain) {
  const json first =
      run({"simulate", "--model",     "llama2_7b", "--cluster", "dgx_a100", "--devices",
           "16",       "--recipe",    "megatron",  "--tp",      "2",        "--pp",
           "2",        "--vpp",       "4",         "--zero",    "1",        "--seq-len",
           "1024",     "--recompute", "full",      "--out",     "plan.json"});
  // The sequence length is the file's.
  const json again = run({"simulate", "--model", "llama2_7b", "--cluster", "dgx_a100", "--devices",
                          "16", "--plan", "plan.json", "--out", "again.json"});
  EXPECT_EQ(again["recipe"], "plan.json");
  for (const auto& [key, value] : first.items()) {
    if (key == "recipe") continue;
    EXPECT_EQ(value, again[key]) << key;
  }
  EXPECT_EQ(text_of("plan.json"), text_of("again.json"));
  EXPECT_EQ(run({"check", "plan", "plan.json"})["stages"], 2);
}

TEST_F(PlanFiles, APlannersPlanTakesTheTimeThatThePlannerSays) {
  const json found = run({"search", "--method", "miqp", "--model", "bert_huge", "--cluster",
                          "env_a", "--global-batch", "16", "--out", "plan.json"});
  // Planners price kernels as they run alone.
  const json simulated = run({"simulate", "--model", "bert_huge", "--cluster", "env_a", "--plan",
                              "plan.json", "--run-factors", "off"});
  EXPECT_EQ(simulated["iteration_time_s"], found["iteration_time_s"]);
  EXPECT_GT(simulated["layer_strategies"], 1);
}

TEST_F(PlanFiles, TheBestScreenedPlanTakesTheTimeThatTheScreenSays) {
  const json screened = run({"screen", "--model", "llama2_7b", "--cluster", "dgx_h100", "--devices",
                             "8", "--global-batch", "64", "--best", "3", "--out", "plan.json"});
  const json simulated = run({"simulate", "--model", "llama2_7b", "--cluster", "dgx_h100",
                              "--devices", "8", "--plan", "plan.json"});
  EXPECT_EQ(simulated["iteration_time_s"], screened["best"][0]["iteration_time_s"]);
}

// Each switch that may be on or off doubles the space, and cannot make its best closed form worse.
TEST_F(PlanFiles, SwitchesWidenAScreenedSpace) {
  const std::vector<std::string> words = {"screen",   "--model",   "llama2_7b", "--cluster",
                                          "dgx_h100", "--devices", "8",         "--global-batch",
                                          "32",       "--best",    "100"};
  const auto wider = [&](std::vector<std::string> more) {
    more.insert(more.begin(), words.begin(), words.end());
    return run(more);
  };
  const json plain = wider({});
  const json both = wider({"--overlap-tensor", "on,off", "--overlap-gradients", "off,on"});
  EXPECT_EQ(both["configurations"], plain["configurations"].get<int64_t>() * 4);
  const auto least = [](const json& screened) {
    double time_s = screened["best"][0]["analytic_time_s"];
    for (const json& plan : screened["best"]) {
      time_s = std::min(time_s, plan["analytic_time_s"].get<double>());
    }
    return time_s;
  };
  EXPECT_LE(least(both), least(plain));
  // What is proven follows from two printed figures.
  EXPECT_EQ(plain["nothing_better_pruned"],
            plain["best"][0]["iteration_time_s"] <= plain["pruned_bound_s"]);
  const Ran refused = folder_.run(
      {"screen", "--model", "llama2_7b", "--cluster", "dgx_h100", "--overlap-sends", "maybe"});
  EXPECT_EQ(refused.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(refused.messages, HasSubstr("known: on, off, on,off"));
}

// 8 experts of a token lie on 4 nodes at most: sent once to each, it crosses half as often.
TEST_F(PlanFiles, TokensMayBeSentToANodeButOnce) {
  const auto time_s = [&](const char* once) {
    const json simulated = run({"simulate", "--model", "qwen3_30b_a3b", "--cluster", "dgx_h100",
                                "--devices", "32", "--recipe", "megatron", "--ep", "32", "--zero",
                                "1", "--recompute", "full", "--dispatch-once-per-node", once});
    return simulated["iteration_time_s"].get<double>();
  };
  EXPECT_LT(time_s("on"), 0.95 * time_s("off"));
}

// Precisions are bases as switches are: the narrower one has the fastest plan, and says so.
TEST_F(PlanFiles, PrecisionsWidenAScreenedSpace) {
  const std::vector<std::string> words = {"screen",   "--model",   "llama2_7b", "--cluster",
                                          "dgx_h100", "--devices", "8",         "--global-batch",
                                          "32",       "--best",    "5"};
  const auto with = [&](const std::string& precisions) {
    std::vector<std::string> more = words;
    more.insert(more.end(), {"--precision", precisions});
    return run(more);
  };
  const json wide = with("bf16");
  const json narrow = with("fp8");
  const json both = with("bf16,fp8");
  EXPECT_EQ(both["configurations"], wide["configurations"].get<int64_t>() * 2);
  EXPECT_LT(narrow["best"][0]["iteration_time_s"], wide["best"][0]["iteration_time_s"]);
  EXPECT_EQ(both["best"][0]["iteration_time_s"], narrow["best"][0]["iteration_time_s"]);
  EXPECT_EQ(both["best"][0]["precision"], "fp8");
  EXPECT_EQ(both["best"][0]["flash_attention"], true);
  EXPECT_FALSE(wide["best"][0].contains("flash_attention"));
}

TEST_F(PlanFiles, AScreenRefusesWhatNoPlanHas) {
  const auto refused = [&](const std::string& option, const std::string& value,
                           const std::string& part) {
    const Ran ran = folder_.run({"screen", "--model", "llama2_7b", "--cluster", "dgx_h100",
                                 "--devices", "8", "--global-batch", "32", option, value});
    EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kUsage)) << option << " " << value;
    EXPECT_THAT(ran.messages, HasSubstr(part));
  };
  refused("--tp", "3", "--tp 3; allowed: divisors of the 8 devices");
  refused("--tp", "4294967304", "--tp '4294967304'; allowed: whole numbers from 1 to 1048576");
  refused("--micro-batch", "1,5", "--micro-batch 5; allowed: divisors of the 32 samples");
  refused("--ep", "2", "--ep 2; allowed: 1, as the model has no experts");
  refused("--zero", "4", "--zero '4'; allowed: whole numbers from 0 to 3");
  refused("--precision", "bf16,fp9", "unknown precision 'fp9'; did you mean");
  refused("--vpp", "1048576", "--pp x --vpp of at most 32 blocks");
}

// Tables on the devices, vectors to their samples: data parallelism moves the rows' gradients to
// every device instead.
TEST_F(PlanFiles, RecommendationModelsRunEndToEnd) {
  const std::vector<std::string> words = {"simulate",     "--model",   "dlrm_dcnv2", "--cluster",
                                          "dgx_a100_80g", "--devices", "8",          "--recipe"};
  const auto with = [&](const std::string& recipe, ExitCode code = ExitCode::kOk) {
    std::vector<std::string> more = words;
    more.insert(more.end(), {recipe, "--out", recipe + ".json"});
    return run(more, code);
  };
  const json hybrid = with("expert");
  const json tables = with("table_parallel");
  // The tables are 97 GiB: every device would hold them all.
  const json replicated = with("data_parallel", ExitCode::kInfeasible);
  EXPECT_EQ(tables["feasible"], true);
  EXPECT_EQ(replicated["feasible"], false);
  EXPECT_THAT(replicated["reason"].get<std::string>(), HasSubstr("most for parameters"));
  EXPECT_GT(replicated["memory_by_component"]["parameters"],
            4 * tables["memory_by_component"]["parameters"].get<int64_t>());
  EXPECT_EQ(hybrid["batch"], 8 * 8192);
  EXPECT_LT(hybrid["iteration_time_s"], replicated["iteration_time_s"]);
  EXPECT_LT(hybrid["communication_bytes"].get<double>(),
            replicated["communication_bytes"].get<double>() / 20);
  const json again = run({"simulate", "--model", "dlrm_dcnv2", "--cluster", "dgx_a100_80g",
                          "--devices", "8", "--plan", "expert.json"});
  EXPECT_EQ(again["iteration_time_s"], hybrid["iteration_time_s"]);
}

TEST_F(PlanFiles, ASearchersPlanIsReadByTheSameOption) {
  const json first = run({"simulate", "--model", "lenet", "--cluster", "p100_4x4", "--devices", "4",
                          "--out", "plan.json"});
  const json again = run({"simulate", "--model", "lenet", "--cluster", "p100_4x4", "--devices", "4",
                          "--plan", "plan.json"});
  EXPECT_EQ(first["iteration_time_s"], again["iteration_time_s"]);
  EXPECT_EQ(json::parse(text_of("plan.json"))["kind"], "operators");
}

// A pipe gives its bytes once, to either kind of plan.
TEST_F(PlanFiles, MayBePipes) {
  const std::vector<std::vector<std::string>> commands = {
      {"simulate", "--model", "lenet", "--cluster", "p100_4x4", "--devices", "4"},
      {"simulate", "--model", "llama2_7b", "--cluster", "dgx_a100"}};
  for (size_t i = 0; i < commands.size(); ++i) {
    std::vector<std::string> words = commands[i];
    words.insert(words.end(), {"--out", "plan.json"});
    if (i == 1) words.insert(words.end(), {"--recipe", "megatron", "--tp", "8"});
    const json first = run(words);
    const std::string pipe = folder_.path(str_cat("pipe", i));
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    std::thread writer([&] { std::ofstream(pipe) << text_of("plan.json"); });
    words = commands[i];
    words.insert(words.end(), {"--plan", pipe});
    const json again = run(words);
    writer.join();
    EXPECT_EQ(first["iteration_time_s"], again["iteration_time_s"]);
  }
}

TEST_F(PlanFiles, RefuseWhatDoesNotFit) {
  run({"simulate", "--model", "llama2_7b", "--cluster", "dgx_a100", "--recipe", "megatron", "--tp",
       "8", "--out", "plan.json"});
  const auto refused = [&](std::vector<std::string> words, ExitCode code, const std::string& part) {
    words.insert(words.begin(), {"simulate", "--cluster", "dgx_a100", "--plan", "plan.json"});
    const Ran ran = folder_.run(words);
    EXPECT_EQ(ran.exit_code, static_cast<int>(code)) << ran.messages;
    EXPECT_THAT(ran.messages, HasSubstr(part));
    EXPECT_EQ(ran.output, "");
  };
  const auto& usage = ExitCode::kUsage;
  refused({"--model", "llama2_7b", "--tp", "2"}, usage, "--tp and --plan exclude each other");
  refused({"--model", "llama2_7b", "--recipe", "fsdp"}, usage, "--recipe and --plan exclude");
  refused({"--model", "llama2_7b", "--batch", "8"}, usage, "not for a plan of layers");
  refused({"--model", "llama2_13b"}, ExitCode::kBadInput,
          "plan.json:5:3: the plan is for model llama2_7b, not for llama2_13b");
  refused({"--model", "llama2_7b", "--devices", "16"}, ExitCode::kBadInput,
          "plan.json:8:3: the plan is for devices 8, not for 16");
  refused({"--model", "llama2_7b", "--seq-len", "16"}, ExitCode::kBadInput,
          "plan.json:6:3: the plan is for seq_len 4096, not for 16");
  EXPECT_THAT(folder_
                  .run({"execute", "--backend", "paced", "--model", "lenet", "--cluster",
                        "p100_4x4", "--plan", "plan.json"})
                  .messages,
              HasSubstr("plan.json:4:3: kind is \"parallel\", expected \"operators\""));
}

// Every task is one event; those of a track do not overlap, and the last one ends with the step.
TEST_F(PlanFiles, TheTraceHoldsEveryTask) {
  for (const char* fold : {"on", "off"}) {
    const json record = run({"simulate", "--model", "llama2_7b", "--cluster", "dgx_a100",
                             "--recipe", "megatron", "--tp", "2", "--pp", "2", "--fold", fold,
                             "--run-factors", "off", "--trace", "t.json"});
    const json events = json::parse(text_of("t.json"))["traceEvents"];
    std::map<std::pair<int, int>, std::map<int64_t, int64_t>> tracks;  // start -> end
    int64_t end = 0;
    size_t tasks = 0;
    for (const json& event : events) {
      if (event["ph"] != "X") continue;
      ++tasks;
      const int64_t start = std::llround(event["ts"].get<double>() * 1e6);
      const int64_t stop = start + std::llround(event["dur"].get<double>() * 1e6);
      end = std::max(end, stop);
      auto& track = tracks[{event["pid"].get<int>(), event["tid"].get<int>()}];
      EXPECT_TRUE(stop == start || track.emplace(start, stop).second);
    }
    EXPECT_EQ(tasks, record["tasks"]);
    EXPECT_NEAR(static_cast<double>(end) * 1e-12, record["iteration_time_s"].get<double>(), 1e-9);
    EXPECT_GT(tracks.size(), 4u);
    for (const auto& [track, spans] : tracks) {
      int64_t before = 0;
      for (const auto& [start, stop] : spans) {
        EXPECT_GE(start, before);
        before = stop;
      }
    }
  }
}

// Of two stages under 1f1b the first holds the activations of two micro-batches at most, the second
// of one; in the end they hold what they began with.
TEST_F(PlanFiles, TheTraceHoldsTheMemoryOfEveryStage) {
  const json record = run({"simulate", "--model", "llama2_7b", "--cluster", "dgx_a100", "--recipe",
                           "megatron", "--tp", "4", "--pp", "2", "--micro-batch", "1",
                           "--global-batch", "8", "--zero", "1", "--trace", "t.json"});
  const json events = json::parse(text_of("t.json"))["traceEvents"];
  std::map<std::string, std::vector<int64_t>> held;
  for (const json& event : events) {
    if (event["ph"] == "C") held[event["name"]].push_back(event["args"]["held"].get<int64_t>());
  }
  ASSERT_EQ(held.size(), 2u);
  for (const auto& [stage, steps] : held) {
    const int64_t most_at_once = stage == "memory of stage 0" ? 2 : 1;
    const int64_t one = steps[1] - steps[0];  // micro-batch, up to a rounding
    EXPECT_EQ(steps.size(), 1 + 2 * record["microbatches"].get<size_t>());
    EXPECT_GT(one, 0);
    const int64_t most = *std::max_element(steps.begin(), steps.end());
    EXPECT_LE(std::abs(most - steps[0] - most_at_once * one), 2);
    EXPECT_LT(most, record["peak_memory_bytes"]);
    EXPECT_EQ(steps.back(), steps.front());
  }
}

// What the reader of a config.json did not understand is said wherever the model is used, and a
// sequence length of the command line counts where operators are placed, too.
TEST_F(PlanFiles, NotesAndSequenceLengthsReachPlansOfOperators) {
  folder_.file("config.json", R"({"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4,
    "n_positions": 128, "vocab_size": 256, "surprise": 1})");
  const auto simulate_config = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"simulate", "--model",  "./config.json", "--cluster",
                                      "dgx_a100", "--format", "json"};
    words.insert(words.end(), more.begin(), more.end());
    return folder_.run(words);
  };
  const Ran whole = simulate_config({});
  EXPECT_EQ(whole.exit_code, 0) << whole.messages;
  EXPECT_THAT(whole.messages, HasSubstr("surprise"));
  EXPECT_THAT(folder_.run({"check", "model", "./config.json"}).messages, HasSubstr("surprise"));
  EXPECT_THAT(folder_.run({"check", "model", "./config.json", "--batch", "4"}).messages,
              HasSubstr("surprise"));
  const Ran real = folder_.run({"execute", "--backend", "paced", "--model", "./config.json",
                                "--cluster", "dgx_a100", "--devices", "1", "--repeat", "1"});
  EXPECT_THAT(real.messages, HasSubstr("surprise"));
  simulate_config({"--recipe", "fsdp", "--devices", "8", "--out", "plan.json"});
  const Ran checked = folder_.run({"check", "plan", "plan.json", "--model", "./config.json"});
  EXPECT_EQ(checked.exit_code, 0) << checked.messages;
  EXPECT_THAT(checked.messages, HasSubstr("surprise"));
  const Ran shorter = simulate_config({"--seq-len", "32"});
  EXPECT_EQ(shorter.exit_code, 0) << shorter.messages;
  EXPECT_LT(json::parse(shorter.output)["iteration_time_s"],
            json::parse(whole.output)["iteration_time_s"]);
  const Ran none =
      folder_.run({"simulate", "--model", "lenet", "--cluster", "dgx_a100", "--seq-len", "32"});
  EXPECT_EQ(none.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(none.messages, HasSubstr("--seq-len is for Transformers, and 'lenet' is none"));
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
  refused(megatron({"--ep", "2"}), "--ep 2; allowed: 1 for a layer without experts");
  refused(megatron({"--pp", "8", "--vpp", "5"}),
          "--pp x --vpp is 40; allowed: at most the 32 blocks of llama2_7b");
  refused(megatron({"--pp", "8", "--vpp", "1048576"}), "--pp x --vpp is 8388608");
  refused(megatron({"--global-batch", "12"}), "a multiple of --micro-batch 1 x 8");
  refused(megatron({"--sequence-parallel", "yes"}), "known: on, off");
  refused(megatron({"--network", "fair"}),
          "--network is for recipes and plans that place operators");
  EXPECT_THAT(simulate({"--model", "llama2_7b", "--recipe", "megatro"}).messages,
              HasSubstr("unknown --recipe 'megatro'; did you mean 'megatron'?"));
  std::vector<std::string> words = base;
  words.insert(words.end(), {"--recipe", "data_parallel", "--tp", "2"});
  refused(words, "--tp needs --recipe megatron, fsdp or deepspeed_zero");
  EXPECT_EQ(simulate({"--model", "alexnet", "--recipe", "megatron"}).exit_code,
            static_cast<int>(ExitCode::kBadInput));
}

}  // namespace
}  // namespace soapbox::runner
