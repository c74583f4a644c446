#include "calib/measure.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace soapbox::calib {
namespace {

TEST(Measure, TheMedianIsTheMiddleOrBetweenTheTwo) {
  EXPECT_EQ(median(std::vector<double>{5, 1, 3}), 3);
  EXPECT_EQ(median(std::vector<double>{4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median_deviation(std::vector<double>{1, 2, 3, 4, 100}), 1);
}

TEST(Measure, TheIntervalOfTheMedianNarrowsWithTheSamples) {
  Rng noise(5);
  const auto interval_of = [&](size_t count) {
    std::vector<double> values;
    for (size_t i = 0; i < count; ++i) values.push_back(1 + noise.uniform());
    Rng rng(1);
    const MedianInterval interval = median_interval(values, rng);
    EXPECT_LE(interval.low, median(values));
    EXPECT_GE(interval.high, median(values));
    Rng again(1);
    EXPECT_EQ(median_interval(values, again).low, interval.low);
    return interval.high - interval.low;
  };
  // The deviation of a median of n uniform numbers is about 1 / (2 sqrt n): 95 % are 4 of those.
  EXPECT_NEAR(interval_of(25), 0.4, 0.25);
  EXPECT_NEAR(interval_of(2500), 0.04, 0.025);
}

class CountingKernel : public PreparedKernel {
 public:
  void run() override {
    ++runs;
    for (int i = 0; i < 20'000; ++i) sink_ = sink_ + 1;
  }
  void cool() override { ++cooled; }
  size_t runs = 0;
  size_t cooled = 0;

 private:
  volatile int sink_ = 0;
};

TEST(Measure, TakesEverySampleColdAndHot) {
  CountingKernel kernel;
  MeasureSpec spec;
  spec.least_samples = 4;
  spec.most_samples = 9;
  const Measurement out = Measurer(spec, 1).measure(kernel);
  EXPECT_GE(out.cold_s.size(), 4U);
  EXPECT_LE(out.cold_s.size(), 9U);
  EXPECT_EQ(out.hot_s.size(), out.cold_s.size());
  EXPECT_EQ(kernel.cooled, out.cold_s.size());
  EXPECT_EQ(kernel.runs, 3 + 2 * out.cold_s.size());  // three to warm up
  EXPECT_GT(*std::min_element(out.cold_s.begin(), out.cold_s.end()), 1e-6);
}

}  // namespace
}  // namespace soapbox::calib
