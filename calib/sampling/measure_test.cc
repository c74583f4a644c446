#include "calib/sampling/measure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

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

TEST(Measure, TakesEverySampleColdAndHotInTurns) {
  std::vector<CountingKernel> kernels(3);
  std::vector<PreparedKernel*> company;
  for (CountingKernel& kernel : kernels) company.push_back(&kernel);
  MeasureSpec spec;
  spec.least_samples = 4;
  spec.most_samples = 9;
  const std::vector<Measurement> out = Measurer(spec, 1).measure(company);
  ASSERT_EQ(out.size(), 3U);
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_GE(out[i].cold_s.size(), 4U);
    EXPECT_LE(out[i].cold_s.size(), 9U);
    EXPECT_EQ(out[i].cold_s.size(), out[0].cold_s.size());
    EXPECT_EQ(out[i].hot_s.size(), out[i].cold_s.size());
    EXPECT_EQ(kernels[i].cooled, out[i].cold_s.size());
    EXPECT_EQ(kernels[i].runs, 3 + 2 * out[i].cold_s.size());  // three to warm up
    EXPECT_GT(*std::min_element(out[i].cold_s.begin(), out[i].cold_s.end()), 1e-6);
  }
}

// A kernel that logs its name: each runs cold and hot before the next one's turn.
class NamedKernel : public PreparedKernel {
 public:
  NamedKernel(char name, std::string& log) : name_(name), log_(log) {}
  void run() override { log_ += name_; }
  void cool() override { log_ += '-'; }

 private:
  char name_;
  std::string& log_;
};

TEST(Measure, OthersRunBetweenTwoColdRunsOfAKernel) {
  std::string log;
  NamedKernel a('a', log);
  NamedKernel b('b', log);
  MeasureSpec spec;
  spec.least_samples = 3;
  spec.most_samples = 2;
  Measurer(spec, 1).measure(std::vector<PreparedKernel*>{&a, &b});
  EXPECT_EQ(log, "aaabbb--aabb--aabb");
}

}  // namespace
}  // namespace soapbox::calib
