#include "calib/fits/link_fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/base/rng.h"

namespace soapbox::calib {
namespace {

std::vector<TimedTransfer> on_line(double alpha_s, double beta_s, int64_t from, int64_t to) {
  std::vector<TimedTransfer> points;
  for (int64_t bytes = from; bytes <= to; bytes *= 2) {
    points.push_back({bytes, alpha_s + beta_s * static_cast<double>(bytes)});
  }
  return points;
}

TEST(LinkFit, OneLineIsFoundExactly) {
  const LinkFit fit = fit_link(on_line(5e-6, 1e-10, 1024, 1 << 30));
  ASSERT_EQ(fit.segments.size(), 1U);
  EXPECT_NEAR(fit.segments[0].alpha_s, 5e-6, 1e-12);
  EXPECT_NEAR(fit.segments[0].beta_s, 1e-10, 1e-17);
  EXPECT_LT(fit.worst, 1e-9);
  EXPECT_LT(fit.left_out_mape, 1e-9);
}

TEST(LinkFit, AProtocolSwitchIsFoundWhereItIs) {
  std::vector<TimedTransfer> points = on_line(2e-6, 4e-10, 1024, 64 << 10);
  for (const TimedTransfer& point : on_line(20e-6, 1e-10, 128 << 10, 64 << 20)) {
    points.push_back(point);
  }
  const LinkFit fit = fit_link(points);
  ASSERT_EQ(fit.segments.size(), 2U);
  EXPECT_EQ(fit.segments[0].most_bytes, 64 << 10);
  EXPECT_NEAR(fit.segments[1].alpha_s, 20e-6, 1e-10);
  EXPECT_NEAR(fit.segments[1].beta_s, 1e-10, 1e-15);
  EXPECT_LT(fit.worst, 1e-6);
  // Beyond the largest size the last line goes on.
  EXPECT_NEAR(fit.seconds(int64_t{1} << 32), 20e-6 + 0x1p32 * 1e-10, 1e-6);
}

TEST(LinkFit, OneRangeIsEnoughForAPingPong) {
  const LinkFit fit = fit_link(on_line(40e-6, 1 / 50e6, 1 << 10, 1 << 20), 1);
  ASSERT_EQ(fit.segments.size(), 1U);
  EXPECT_NEAR(fit.segments[0].alpha_s, 40e-6, 1e-12);
  EXPECT_NEAR(1 / fit.segments[0].beta_s, 50e6, 1);
  EXPECT_NEAR(fit.mape, 0, 1e-9);
}

TEST(LinkFit, ALatencyIsNeverNegative) {
  // Through (1000, 1 s) and (2000, 3 s) the line begins at -1 s. Without a latency the best slope
  // for relative errors is (sum n / t) / (sum n^2 / t^2) = (1000 + 2000/3) / (1e6 + 4e6/9).
  const std::vector<TimedTransfer> samples = {{1000, 1}, {2000, 3}};
  const LinkFit fit = fit_link(samples, 1);
  EXPECT_EQ(fit.segments[0].alpha_s, 0);
  EXPECT_NEAR(fit.segments[0].beta_s, (1000 + 2000.0 / 3) / (1e6 + 4e6 / 9), 1e-12);
}

// Whatever the points, more bytes never take less time, and no figure is negative.
TEST(LinkFit, IsMonotoneOverNoise) {
  Rng rng(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<TimedTransfer> points = on_line(1e-6, 1e-10, 256, 1 << 26);
    for (TimedTransfer& point : points) point.seconds *= std::exp2(4 * rng.uniform() - 2);
    const LinkFit fit = fit_link(points);
    double before = 0;
    for (int64_t bytes = 1; bytes < int64_t{1} << 32; bytes += bytes / 3 + 1) {
      EXPECT_GE(fit.seconds(bytes), before) << round << " " << bytes;
      before = fit.seconds(bytes);
    }
    for (const LinkSegment& segment : fit.segments) {
      EXPECT_GE(segment.alpha_s, 0);
      EXPECT_GE(segment.beta_s, 0);
    }
  }
}

// Of all cuts into two ranges of at least two points the best, by trying them.
TEST(LinkFit, TwoRangesAreTheBestTwo) {
  Rng rng(9);
  std::vector<TimedTransfer> points = on_line(3e-6, 1e-10, 1024, 1 << 24);
  for (size_t i = 0; i < points.size(); ++i) {
    points[i].seconds *= (i < 6 ? 2 : 1) * (1 + 0.05 * rng.uniform());
  }
  const LinkFit fit = fit_link(points, 2);
  ASSERT_EQ(fit.segments.size(), 2U);
  const auto squares = [&](const LinkFit& one, const std::vector<TimedTransfer>& of) {
    double sum = 0;
    for (const TimedTransfer& point : of) {
      const double off = one.seconds(point.bytes) / point.seconds - 1;
      sum += off * off;
    }
    return sum;
  };
  double best = INFINITY;
  int64_t cut = 0;
  for (size_t i = 2; i + 2 <= points.size(); ++i) {
    const std::vector<TimedTransfer> low(points.begin(),
                                         points.begin() + static_cast<ptrdiff_t>(i));
    const std::vector<TimedTransfer> high(points.begin() + static_cast<ptrdiff_t>(i), points.end());
    const double sum = squares(fit_link(low, 1), low) + squares(fit_link(high, 1), high);
    if (sum < best) {
      best = sum;
      cut = low.back().bytes;
    }
  }
  EXPECT_EQ(fit.segments[0].most_bytes, cut);
}

}  // namespace
}  // namespace soapbox::calib
