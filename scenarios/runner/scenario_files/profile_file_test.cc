#include "scenarios/runner/scenario_files/profile_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace soapbox::runner {
namespace {

constexpr const char* kGoodFit = R"(measured_on = "X"
source = "y"
type = "fp32"
memory_efficiency = 0.5
[linear]
latency = 0
ramp = 1.5
long_k_penalty = 0
max_split = 4
tiles = [{m = 64, n = 32, efficiency = 0.5, passes = 0.1}]
[gemm]
latency = 0
ramp = 0
long_k_penalty = 0
max_split = 1
tiles = [{m = 64, n = 64, efficiency = 0.5, passes = 0}]
[conv]
latency = 0
ramp = 0
long_k_penalty = 0
max_split = 1
tiles = [{m = 64, n = 64, efficiency = 0.5, passes = 0}]
[winograd]
latency = 0
ramp = 0
long_k_penalty = 0
max_split = 1
tiles = [{m = 64, n = 64, efficiency = 0.5, passes = 0}]
)";

constexpr const char* kGoodProfile = R"(hardware = "X"
source = "s"
launch = "2.5 us"
fit = "fit.txt"
unanchored_scale = 0.9
[[anchor]]
model = "lenet"
batch = 4
iteration_time = "1.5 ms"
source = "a"
)";

class ProfileFile : public testing::Test {
 protected:
  ProfileFile() {
    folder_ = std::string(SOAPBOX_BINARY_DIR) + "/profile_test_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  // The error of a profile and its fit, without the folder.
  std::string refusal(const std::string& profile, const std::string& fit = kGoodFit) const {
    write("x.toml", profile);
    write("fit.txt", fit);
    const Result<Profile> read = read_profile(folder_ + "/x.toml");
    if (read) return "accepted";
    std::string text = read.error().to_string();
    return text.substr(text.find(folder_) == 0 ? folder_.size() + 1 : 0);
  }
  static std::string with(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  }
  std::string folder_;
};

TEST_F(ProfileFile, KeepsEveryFigure) {
  EXPECT_EQ(refusal(kGoodProfile), "accepted");
  const Result<Profile> profile = read_profile(folder_ + "/x.toml");
  EXPECT_EQ(profile->hardware, "X");
  EXPECT_EQ(profile->fitted_on, "X");
  EXPECT_EQ(profile->shape.launch, nanoseconds(2500));
  EXPECT_DOUBLE_EQ(profile->shape.memory_efficiency, 0.5);
  const ProductShape linear{{{64, 32, 0.5, 0.1}}, 0, 1.5, 0, 4};
  EXPECT_EQ(profile->shape.products[0], linear);
  ASSERT_EQ(profile->anchors.size(), 1u);
  EXPECT_EQ(profile->anchors[0].iteration_time, microseconds(1500));
  EXPECT_EQ(profile->anchors[0].batch, 4);
}

TEST_F(ProfileFile, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(
      refusal(with(kGoodProfile, "launch", "lunch")),
      testing::StartsWith("x.toml:3:1: unknown key 'lunch' in the file; did you mean 'launch'?"));
  EXPECT_THAT(
      refusal(std::string("lanch = 1\n") + kGoodProfile),
      testing::StartsWith("x.toml:1:1: unknown key 'lanch' in the file; did you mean 'launch'?"));
  EXPECT_THAT(refusal(with(kGoodProfile, "batch = 4", "batch = 4\nbatches = 4")),
              testing::StartsWith(
                  "x.toml:9:1: unknown key 'batches' in [[anchor]]; did you mean 'batch'?"));
  EXPECT_THAT(
      refusal(kGoodProfile, with(kGoodFit, "ramp = 1.5", "ramp = 1.5\ndamp = 1")),
      testing::StartsWith("fit.txt:8:1: unknown key 'damp' in [linear]; did you mean 'ramp'?"));
}

TEST_F(ProfileFile, RefusesMissingUnitsAndNegativeValues) {
  EXPECT_EQ(refusal(with(kGoodProfile, "\"2.5 us\"", "2.5")),
            "x.toml:3:10: 'launch' is a number, 2.5; it must be a duration with its unit, as in "
            "\"5 us\"");
  EXPECT_THAT(refusal(with(kGoodProfile, "1.5 ms", "-1 ms")),
              testing::StartsWith("x.toml:9:18: 'iteration_time': '-1 ms' is negative"));
  EXPECT_EQ(refusal(with(kGoodProfile, "batch = 4", "batch = 0")),
            "x.toml:8:9: 'batch' is 0; it must be an integer of at least 1");
  EXPECT_EQ(refusal(with(kGoodProfile, "0.9", "-0.9")),
            "x.toml:5:20: 'unanchored_scale' is -0.9; it must be a number from 1e-06 to 1e+06");
  EXPECT_EQ(refusal(kGoodProfile, with(kGoodFit, "0.5", "0")),
            "fit.txt:4:21: 'memory_efficiency' is 0; it must be a number from 1e-06 to 1");
  EXPECT_EQ(refusal(kGoodProfile, with(kGoodFit, "m = 64", "m = -64")),
            "fit.txt:10:15: 'm' is -64; it must be an integer of at least 1");
}

TEST_F(ProfileFile, RefusesASecondAnchorOfAModelAndMissingTiles) {
  std::string twice = kGoodProfile;
  twice += twice.substr(twice.find("[[anchor]]"));
  EXPECT_EQ(refusal(twice), "x.toml:12:9: model 'lenet' already has an anchor");
  EXPECT_EQ(
      refusal(kGoodProfile, with(kGoodFit, "{m = 64, n = 32, efficiency = 0.5, passes = 0.1}", "")),
      "fit.txt:5:1: at least one tile is needed");
}

TEST_F(ProfileFile, RefusesUnreadableFiles) {
  EXPECT_THAT(refusal("hardware = \n"), testing::StartsWith("x.toml:1:"));
  EXPECT_FALSE(read_profile(folder_ + "/none.toml"));
  EXPECT_EQ(refusal(with(kGoodProfile, "fit.txt", "gone.txt")), "gone.txt: there is no such file");
}

TEST_F(ProfileFile, RefusesTwoProfilesOfOneHardware) {
  write("a.toml", kGoodProfile);
  write("b.toml", kGoodProfile);
  write("fit.txt", kGoodFit);
  const auto profiles = read_profiles(folder_);
  ASSERT_FALSE(profiles);
  EXPECT_EQ(profiles.error().message, "a second profile of hardware 'X'");
}

}  // namespace
}  // namespace soapbox::runner
