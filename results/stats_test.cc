#include "results/stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace soapbox::results {
namespace {

using Values = std::vector<double>;

TEST(Stats, RelativeErrorIsMeanOfAbsoluteFractions) {
  // |110 - 100| / 100 = 0.1; |150 - 200| / 200 = 0.25; exact: 0. Mean 0.35 / 3.
  EXPECT_NEAR(mean_absolute_relative_error(Values{110, 150, 7}, Values{100, 200, 7}), 0.35 / 3,
              1e-15);
  // Relative to the actual side: 100 for 200 is 50 %, 200 for 100 is 100 %.
  EXPECT_EQ(mean_absolute_relative_error(Values{100}, Values{200}), 0.5);
  EXPECT_EQ(mean_absolute_relative_error(Values{200}, Values{100}), 1.0);
}

TEST(Stats, ASummaryOfErrorsKeepsTheSignWhereItMatters) {
  const ErrorSummary summary = summarise_errors(Values{0.1, -0.3, 0.0, 0.2});
  EXPECT_NEAR(summary.median, 0.15, 1e-15);  // of 0, 0.1, 0.2, 0.3
  EXPECT_NEAR(summary.mean, 0.15, 1e-15);
  EXPECT_NEAR(summary.p90, 0.27, 1e-15);  // position 2.7
  EXPECT_EQ(summary.worst, -0.3);
  EXPECT_EQ(summary.worst_index, 1U);
  EXPECT_NEAR(summary.bias, 0, 1e-15);
  EXPECT_EQ(summarise_errors(Values{0}).worst, 0);
}

TEST(Stats, QuantilesInterpolateBetweenOrderStatistics) {
  const Values values = {40, 10, 20, 30};
  EXPECT_EQ(quantile(values, 0), 10);
  EXPECT_EQ(quantile(values, 1), 40);
  EXPECT_EQ(quantile(values, 0.5), 25);     // position 1.5
  EXPECT_EQ(quantile(values, 0.75), 32.5);  // position 2.25
  EXPECT_EQ(quantile(Values{3, 1, 2}, 0.5), 2);
  EXPECT_EQ(quantile(Values{5}, 0.9), 5);
}

TEST(Stats, RankCorrelationSeesOrderAlone) {
  EXPECT_EQ(rank_correlation(Values{1, 2, 3, 4}, Values{1, 10, 100, 1000}), 1);
  EXPECT_EQ(rank_correlation(Values{1, 2, 3, 4}, Values{4, 3, 2, -1}), -1);
  // One swap of neighbours in five: 1 - 6 (1 + 1) / (5 (25 - 1)) = 0.9.
  EXPECT_NEAR(*rank_correlation(Values{1, 2, 3, 4, 5}, Values{1, 3, 2, 4, 5}), 0.9, 1e-15);
}

TEST(Stats, TiesShareTheMeanRank) {
  // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5, variances 4.5 and 5.
  EXPECT_NEAR(*rank_correlation(Values{1, 5, 5, 9}, Values{1, 2, 3, 4}), 4.5 / std::sqrt(4.5 * 5),
              1e-15);
}

TEST(Stats, KendallCountsPairs) {
  // Of ten pairs two neighbours are swapped: (9 - 1) / 10.
  EXPECT_DOUBLE_EQ(*kendall_correlation(Values{1, 2, 3, 4, 5}, Values{1, 3, 2, 4, 5}), 0.8);
  EXPECT_DOUBLE_EQ(*kendall_correlation(Values{1, 2, 3}, Values{9, 4, 1}), -1);
  // One tie on the left: 5 of 6 pairs agree, 5 are ordered on the left, 6 on the right.
  EXPECT_DOUBLE_EQ(*kendall_correlation(Values{1, 5, 5, 9}, Values{1, 2, 3, 4}),
                   5 / std::sqrt(5.0 * 6));
  EXPECT_EQ(kendall_correlation(Values{2, 2}, Values{1, 2}), std::nullopt);
}

TEST(Stats, AConstantSideHasNoRankCorrelation) {
  EXPECT_EQ(rank_correlation(Values{2, 2, 2}, Values{1, 2, 3}), std::nullopt);
}

TEST(StatsDeath, NothingHasNoStatistics) {
  EXPECT_DEATH(quantile(Values{}, 0.5), "quantile of nothing");
  EXPECT_DEATH(mean_absolute_relative_error(Values{1}, Values{0}), "relative to zero");
  EXPECT_DEATH(rank_correlation(Values{1, 2}, Values{1}), "pairs are needed");
}

}  // namespace
}  // namespace soapbox::results
