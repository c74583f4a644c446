#include "strategies/metropolis.h"

#include <gtest/gtest.h>

#include <cmath>

namespace soapbox::strategies {
namespace {

TEST(MinusLog, AgreesWithTheLibrary) {
  for (double u = 1; u > 1e-300; u *= 0.97) {
    EXPECT_NEAR(minus_log(u), -std::log(u), 1e-14 * (1 - std::log(u))) << u;
  }
  EXPECT_EQ(minus_log(1), 0.0);
  EXPECT_NEAR(minus_log(0x1p-53), 53 * std::log(2.0), 1e-13);  // the smallest draw
}

TEST(MetropolisLimit, IsNeverBelowTheCurrentTime) {
  Rng rng(1);
  for (int i = 0; i < 10000; ++i) {
    EXPECT_GE(metropolis_limit(milliseconds(5), 100, rng), milliseconds(5));
  }
}

// 2 % slower at beta 50: exp(-1) = 0.3679. In 40,000 draws the standard deviation is
// sqrt(0.3679 x 0.6321 / 40,000) = 0.0024; five of them are allowed.
TEST(MetropolisLimit, AcceptsSlowerPlansAsOftenAsTheRuleSays) {
  Rng rng(2);
  int accepted = 0;
  for (int i = 0; i < 40000; ++i) {
    accepted += microseconds(1020) <= metropolis_limit(microseconds(1000), 50, rng) ? 1 : 0;
  }
  EXPECT_NEAR(accepted / 40000.0, std::exp(-1.0), 0.012);
}

TEST(MetropolisLimit, DependsOnRelativeDifferencesOnly) {
  Rng small(3);
  Rng large(3);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(microseconds(101) <= metropolis_limit(microseconds(100), 70, small),
              milliseconds(808) <= metropolis_limit(milliseconds(800), 70, large));
  }
}

TEST(MetropolisLimit, RefusesSlowerPlansAtAHugeBetaAndAllowsAllAtATinyOne) {
  Rng rng(4);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_LT(metropolis_limit(milliseconds(100), 1e9, rng), microseconds(100001));
    EXPECT_GT(metropolis_limit(milliseconds(100), 1e-9, rng), milliseconds(100'000));
  }
}

}  // namespace
}  // namespace soapbox::strategies
