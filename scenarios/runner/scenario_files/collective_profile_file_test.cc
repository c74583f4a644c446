#include "scenarios/runner/scenario_files/collective_profile_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

constexpr const char* kGood = R"(hardware = ["X"]
source = "s"
near_error = 0.1
far_error = 0.2
switch_reduction_ranks = 0
[[protocol]]
launch_us = 5
near_step_us = 1
far_step_us = 9
near_efficiency = 0.9
far_efficiency = 0.8
[[curve]]
op = "all_gather"
ranks = 4
link_gb_per_s = 276
first_bytes = 1024
error = 0.05
segments = [
  {last_bytes = 1048576, alpha_us = 20, beta_ps_per_byte = 9},
  {last_bytes = 1073741824, alpha_us = 30, beta_ps_per_byte = 4},
]
)";

Result<CollectiveProfile> read(std::string text, std::string_view from = "",
                               std::string_view to = "") {
  const std::string path = std::string(SOAPBOX_BINARY_DIR) + "/collective_profile_test.toml";
  if (const size_t at = text.find(from); !from.empty()) text.replace(at, from.size(), to);
  std::ofstream(path) << text;
  return read_collective_profile(path);
}

TEST(CollectiveProfileFile, ReadsWhatIsWritten) {
  const auto profile = read(kGood);
  ASSERT_TRUE(profile) << profile.error().to_string();
  EXPECT_EQ(profile->hardware, std::vector<std::string>{"X"});
  ASSERT_EQ(profile->protocols.size(), 1U);
  EXPECT_DOUBLE_EQ(profile->protocols[0].far_step, 9e-6);
  ASSERT_EQ(profile->curves.size(), 1U);
  EXPECT_EQ(profile->curves[0].op, CollectiveOp::kAllGather);
  // 30 us + 2 MiB x 4 ps.
  EXPECT_NEAR(profile->curves[0].times.time(mebibytes(2)).seconds(), 38.388608e-6, 1e-11);
}

TEST(CollectiveProfileFile, SaysWhatIsWrong) {
  const struct {
    std::string_view from, to, part;
  } cases[] = {
      {"all_gather", "all_gathr", "toml:13:"},
      {"launch_us = 5", "launch_us = -5", "toml:7:"},
      {"near_efficiency = 0.9", "near_efficiency = 1.9", "toml:10:"},
      {"far_step_us = 9\n", "", "far_step_us"},
      {"last_bytes = 1073741824", "last_bytes = 1024", "1024 bytes after"},
      {"first_bytes = 1024", "first_bytes = 2147483648", "last_bytes"},
      {"source", "sauce", "sauce"},
      {"[\"X\"]", "[]", "at least one device"},
  };
  for (const auto& c : cases) {
    const auto profile = read(kGood, c.from, c.to);
    ASSERT_FALSE(profile) << c.to;
    EXPECT_THAT(profile.error().to_string(), HasSubstr(std::string(c.part)));
  }
  const std::string curve = std::string(kGood).substr(std::string(kGood).find("[[curve]]"));
  const auto twice = read(kGood + curve);
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().to_string(), HasSubstr("a second curve of all_gather among 4"));
}

}  // namespace
}  // namespace soapbox::runner
