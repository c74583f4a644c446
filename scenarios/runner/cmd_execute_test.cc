#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "results/store.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/test_program.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<std::string> paced(std::vector<std::string> more) {
  std::vector<std::string> words = {"execute",   "--backend", "paced",     "--model", "lenet",
                                    "--cluster", "p100_4x4",  "--devices", "4"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

class Execute : public testing::Test {
 protected:
  json exported(const std::string& what) const {
    return json::parse(folder_.run({"export", what, "--db", "x.db", "--format", "json"}).output);
  }
  void expect_refusal(const Ran& ran, ExitCode code, const std::string& part) const {
    EXPECT_EQ(ran.exit_code, static_cast<int>(code)) << ran.messages;
    EXPECT_EQ(ran.output, "");
    EXPECT_EQ(std::count(ran.messages.begin(), ran.messages.end(), '\n'), 1) << ran.messages;
    EXPECT_THAT(ran.messages, HasSubstr(part));
  }
  ProgramFolder folder_;
};

TEST_F(Execute, StoresThePredictionAndTheMeasuredTimelineBesideIt) {
  const Ran ran = folder_.run(paced({"--random-plans", "2", "--seed", "7", "--repeat", "2",
                                     "--time-scale", "40", "--db", "x.db", "--format", "json"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  const json rows = json::parse(ran.output);
  ASSERT_EQ(rows.size(), 2u);
  const json runs = exported("runs");
  const json executions = exported("executions");
  ASSERT_EQ(runs.size(), 2u);
  ASSERT_EQ(executions.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(runs[i]["seed"], 7 + i);
    EXPECT_EQ(rows[i]["trace_hash"], runs[i]["trace_hash"]);
    EXPECT_EQ(executions[i]["identity"], runs[i]["identity"]);
    EXPECT_LE(executions[i]["predicted_at"], executions[i]["started_at"]);
    EXPECT_EQ(executions[i]["repeats"], 2);
    EXPECT_GT(rows[i]["measured_s"], 0);
    const double ratio = double{rows[i]["predicted_s"]} / double{rows[i]["measured_s"]};
    EXPECT_NEAR(double{rows[i]["error"]}, ratio - 1, 1e-9);
  }
  // As the console said it, before anything ran.
  EXPECT_THAT(ran.messages, HasSubstr("timeline " + runs[0]["trace_hash"].get<std::string>()));
  const size_t tasks = size_t{rows[0]["tasks"]} + size_t{rows[1]["tasks"]};
  EXPECT_EQ(exported("executed_tasks").size(), tasks);
  for (const json& task : exported("executed_tasks")) {
    EXPECT_LE(task["start_ps"], task["end_ps"]);
    EXPECT_GE(int64_t{task["end_ps"]} - int64_t{task["start_ps"]},
              int64_t{task["predicted_end_ps"]} - int64_t{task["predicted_start_ps"]} - 1000);
  }
}

TEST_F(Execute, APlanFileRunsAndGivesItsMeasuredTimeline) {
  ASSERT_EQ(folder_
                .run({"search", "--method", "random", "--budget", "1", "--model", "lenet",
                      "--cluster", "p100_4x4", "--devices", "4", "--out", "p.json"})
                .exit_code,
            0);
  const Ran ran = folder_.run(paced({"--plan", "p.json", "--repeat", "1", "--time-scale", "20",
                                     "--links", "tcp", "--trace", "t.json"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  EXPECT_THAT(ran.output, HasSubstr("1 plan: mean error"));
  EXPECT_THAT(ran.output, HasSubstr("database: execute.db"));
  const json trace = json::parse(results::read_bytes(folder_.path("t.json")));
  EXPECT_GT(trace["traceEvents"].size(), 100u);
}

TEST_F(Execute, ARingIsComparedWithItsModel) {
  const Ran ran = folder_.run({"execute", "--backend", "paced", "--ring", "2", "--rate", "200 MB/s",
                               "--repeat", "2", "--format", "csv"});
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  EXPECT_THAT(ran.output,
              testing::StartsWith("ranks,bytes,predicted_s,measured_s,error\n2,65536,"));
  EXPECT_THAT(ran.messages, HasSubstr("ping-pong: "));
}

TEST_F(Execute, WhatDoesNotApplyIsRefused) {
  expect_refusal(folder_.run({"execute", "--model", "lenet"}), ExitCode::kUsage, "--backend");
  expect_refusal(folder_.run({"execute", "--backend", "pace"}), ExitCode::kUsage,
                 "did you mean 'paced'");
  expect_refusal(folder_.run(paced({"--plan", "p.json", "--recipe", "expert"})), ExitCode::kUsage,
                 "exclude each other");
  expect_refusal(folder_.run(paced({"--seed", "1"})), ExitCode::kUsage, "--random-plans");
  expect_refusal(folder_.run(paced({"--time-scale", "0"})), ExitCode::kUsage, "'0'");
  expect_refusal(folder_.run(paced({"--links", "rope"})), ExitCode::kUsage, "timed");
  expect_refusal(folder_.run(paced({"--ring", "4"})), ExitCode::kUsage, "--model does not apply");
  expect_refusal(folder_.run(paced({"--rate", "1 GB/s"})), ExitCode::kUsage, "--ring");
  expect_refusal(folder_.run(paced({"--network", "fair"})), ExitCode::kUsage, "fifo and steps");
  expect_refusal(folder_.run(paced({"--random-plans", "2", "--trace", "t.json"})), ExitCode::kUsage,
                 "one plan");
  expect_refusal(folder_.run(paced({"--plan", "absent.json"})), ExitCode::kBadInput,
                 "absent.json: ");
  EXPECT_EQ(folder_.names(), std::vector<std::string>());
}

TEST_F(Execute, AnErrorAboveTheLimitIsARegression) {
  const Ran ran =
      folder_.run(paced({"--repeat", "1", "--time-scale", "0.001", "--max-error", "0.0001"}));
  EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kRegression)) << ran.messages;
  EXPECT_THAT(ran.output, HasSubstr("1 plan: mean error"));
}

TEST_F(Execute, AnInterruptKeepsWhatWasPredictedAndNothingHalf) {
  const Ran ran =
      folder_.run_and_interrupt(paced({"--time-scale", "1e6", "--db", "x.db"}), "predicted");
  EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kInterrupted)) << ran.messages;
  EXPECT_EQ(exported("runs").size(), 1u);
  EXPECT_EQ(exported("executions").size(), 0u);
}

TEST_F(Execute, RealKernelsRunOnCores) {
  const Ran ran = folder_.run({"execute", "--backend", "cpu", "--model", "lenet", "--cluster",
                               "cpu_2", "--devices", "1", "--batch", "4", "--repeat", "2", "--db",
                               "x.db", "--format", "json"});
  if (ran.messages.find("which is not there") != std::string::npos) GTEST_SKIP() << ran.messages;
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  EXPECT_GT(json::parse(ran.output)[0]["measured_s"], 0);
  const json execution = exported("executions").at(0);
  EXPECT_EQ(execution["backend"], "cpu");
  EXPECT_THAT(execution["settings"].get<std::string>(), HasSubstr("oneDNN"));
}

TEST_F(Execute, RealKernelsRefuseWhatTheyCannotRun) {
  const auto on_cores = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"execute", "--backend", "cpu", "--model", "lenet"};
    words.insert(words.end(), more.begin(), more.end());
    return folder_.run(words);
  };
  expect_refusal(on_cores({"--cluster", "cpu_2", "--links", "tcp"}), ExitCode::kUsage,
                 "--links is for --backend paced");
  expect_refusal(folder_.run(paced({"--realtime"})), ExitCode::kUsage, "paced asks by itself");
}

TEST_F(Execute, AFullDiskIsAnErrorBeforeAnythingRuns) {
  const Ran ran = folder_.run_with_file_limit(paced({"--time-scale", "1e6"}), 8 << 10);
  expect_refusal(ran, ExitCode::kTryAgain, "execute.db");
}

}  // namespace
}  // namespace soapbox::runner
