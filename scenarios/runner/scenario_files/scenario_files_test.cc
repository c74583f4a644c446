#include "scenarios/runner/scenario_files/scenario_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace soapbox::runner {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

const std::string kScenarios = std::string(SOAPBOX_SOURCE_DIR) + "/scenarios";

TEST(ScenarioFiles, EnvironmentWinsOverTheProgramsPlace) {
  const std::string program = std::string(SOAPBOX_SOURCE_DIR) + "/build/dev/soapbox";
  EXPECT_EQ(ScenarioFolder::find({kScenarios, "/none"})->root(), kScenarios);
  EXPECT_EQ(ScenarioFolder::find({{}, program})->root(), kScenarios);
}

TEST(ScenarioFiles, PlaceThatWasNamedIsNotSkipped) {
  EXPECT_THAT(ScenarioFolder::find({"/none", kScenarios}).error().message,
              HasSubstr("SOAPBOX_SCENARIOS names '/none'"));
  EXPECT_EQ(ScenarioFolder::find({{}, "/none/x/soapbox"}).error().code, ErrorCode::kEnvironment);
}

TEST(ScenarioFiles, NameMeansTheFileOfItsKindAndASlashMeansAPath) {
  const ScenarioFolder folder(kScenarios);
  EXPECT_THAT(folder.names(kClusterFiles), Contains("p100_4x4"));
  EXPECT_EQ(*folder.path(kClusterFiles, "p100_4x4"), kScenarios + "/clusters/p100_4x4.toml");
  EXPECT_EQ(*folder.path(kClusterFiles, "./mine"), "./mine");
  EXPECT_EQ(*folder.path(kClusterFiles, "mine.toml"), "mine.toml");
  EXPECT_THAT(folder.path(kClusterFiles, "p100_4x5").error().message,
              HasSubstr("unknown cluster 'p100_4x5'; did you mean 'p100_4x4'?"));
}

TEST(ScenarioFiles, RunningProgramIsKnown) {
  EXPECT_THAT(executable_path(), HasSubstr("soapbox_scenario_files_test"));
}

}  // namespace
}  // namespace soapbox::runner
