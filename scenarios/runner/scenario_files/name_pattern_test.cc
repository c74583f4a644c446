#include "scenarios/runner/scenario_files/name_pattern.h"

#include <gtest/gtest.h>

namespace soapbox::runner {
namespace {

TEST(NamePattern, StandsForItselfAndForAnythingWithinADot) {
  EXPECT_TRUE(matches_pattern("gpu1", "gpu1"));
  EXPECT_FALSE(matches_pattern("gpu1", "gpu12"));
  EXPECT_FALSE(matches_pattern("gpu12", "gpu1"));
  EXPECT_TRUE(matches_pattern("gpu*", "gpu12"));
  EXPECT_TRUE(matches_pattern("*", "nic0"));
  EXPECT_TRUE(matches_pattern("node*.gpu*", "node3.gpu0"));
  EXPECT_FALSE(matches_pattern("node*", "node3.gpu0"));
  EXPECT_FALSE(matches_pattern("*gpu0", "node3.gpu0"));
  EXPECT_TRUE(matches_pattern("", ""));
  EXPECT_FALSE(matches_pattern("", "gpu0"));
  EXPECT_FALSE(matches_pattern("gpu*", ""));
}

TEST(NamePattern, RangesIncludeBothEnds) {
  EXPECT_TRUE(matches_pattern("gpu[2-5]", "gpu2"));
  EXPECT_TRUE(matches_pattern("gpu[2-5]", "gpu5"));
  EXPECT_FALSE(matches_pattern("gpu[2-5]", "gpu6"));
  EXPECT_FALSE(matches_pattern("gpu[2-5]", "gpu25"));
  EXPECT_TRUE(matches_pattern("node[10-12].nic0", "node11.nic0"));
  EXPECT_FALSE(matches_pattern("gpu[2-5]", "gpu"));
  EXPECT_FALSE(matches_pattern("gpu[0-99999999999999999999]", "gpu1"));  // no range: a literal
}

}  // namespace
}  // namespace soapbox::runner
