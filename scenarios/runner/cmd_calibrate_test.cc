#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/test_program.h"

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

const std::string kSamples = SOAPBOX_SOURCE_DIR "/scenarios/profiles/samples/AMD-EPYC-25-17.jsonl";
const std::string kMissing = "libsoapbox_cpu.so', which is not there";

class Calibrate : public testing::Test {
 protected:
  void expect_refusal(const Ran& ran, ExitCode code, const std::string& part) const {
    EXPECT_EQ(ran.exit_code, static_cast<int>(code)) << ran.messages;
    EXPECT_EQ(ran.output, "");
    EXPECT_EQ(std::count(ran.messages.begin(), ran.messages.end(), '\n'), 1) << ran.messages;
    EXPECT_THAT(ran.messages, HasSubstr(part));
  }
  ProgramFolder folder_;
};

TEST_F(Calibrate, OldSamplesBecomeAScenarioFolderAgain) {
  const Ran ran = folder_.run({"calibrate", "--from", kSamples, "--out", "cal"});
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  EXPECT_THAT(ran.output, HasSubstr("SOAPBOX_SCENARIOS=cal soapbox simulate --cluster cpu_2"));
  for (const char* const file :
       {"profiles/AMD-EPYC-25-17.toml", "profiles/fits/AMD-EPYC-25-17.toml",
        "profiles/measured/AMD-EPYC-25-17.csv", "clusters/cpu_2.toml"}) {
    EXPECT_EQ(results::read_bytes(folder_.path(std::string("cal/") + file)),
              results::read_bytes(std::string(SOAPBOX_SOURCE_DIR "/scenarios/") + file));
  }
}

TEST_F(Calibrate, WhatDoesNotApplyIsRefusedBeforeAnythingIsMade) {
  expect_refusal(folder_.run({"calibrate", "--backend", "cudda"}), ExitCode::kUsage,
                 "did you mean 'cuda'");
  expect_refusal(folder_.run({"calibrate", "--from", kSamples, "--quick"}), ExitCode::kUsage,
                 "--quick does not apply to --from");
  expect_refusal(folder_.run({"calibrate", "--time-limit", "0"}), ExitCode::kUsage, "time-limit");
  expect_refusal(folder_.run({"calibrate", "--from", "absent.jsonl"}), ExitCode::kBadInput,
                 "absent.jsonl: ");
  folder_.file("bad.jsonl", "{}\n");
  expect_refusal(folder_.run({"calibrate", "--from", "bad.jsonl"}), ExitCode::kBadInput,
                 "bad.jsonl:1: the first line must be a header");
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"bad.jsonl"});
}

TEST_F(Calibrate, AMissingModuleSaysWhatItNeeds) {
  if (std::filesystem::exists(SOAPBOX_BINARY_DIR "/libsoapbox_cuda.so")) GTEST_SKIP() << "built";
  expect_refusal(folder_.run({"calibrate", "--backend", "cuda"}), ExitCode::kTryAgain,
                 "it is built by 'cmake --preset cuda', which needs CUDA 13 and cuDNN");
}

TEST_F(Calibrate, AFullDiskIsAnError) {
  expect_refusal(
      folder_.run_with_file_limit({"calibrate", "--from", kSamples, "--out", "cal"}, 300),
      ExitCode::kTryAgain, "cal/");
}

TEST_F(Calibrate, AnInterruptKeepsTheSamples) {
  const Ran ran = folder_.run_and_interrupt({"calibrate", "--quick"}, "/");
  if (ran.messages.find(kMissing) != std::string::npos) GTEST_SKIP() << ran.messages;
  EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kInterrupted)) << ran.messages;
  EXPECT_THAT(ran.messages, HasSubstr("what was measured is in calibration/samples.jsonl"));
  EXPECT_THAT(results::read_bytes(folder_.path("calibration/samples.jsonl")),
              testing::StartsWith("{\"format\":\"soapbox samples 1\""));
}

}  // namespace
}  // namespace soapbox::runner
