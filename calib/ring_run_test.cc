#include "calib/ring_run.h"

#include <gtest/gtest.h>

namespace soapbox::calib {
namespace {

TEST(RingRun, AFitFindsTheLineThatMadeTheSamples) {
  std::vector<PingPongSample> samples;
  for (int64_t bytes = 1 << 10; bytes <= 1 << 20; bytes *= 2) {
    samples.push_back({Bytes(bytes), 40e-6 + static_cast<double>(bytes) / 50e6});
  }
  const LinkFit fit = fit_link(samples);
  EXPECT_NEAR(fit.latency_s, 40e-6, 1e-12);
  EXPECT_NEAR(fit.bandwidth.rate(), 50e6, 1);
  EXPECT_NEAR(fit.mean_error, 0, 1e-9);
}

TEST(RingRun, ALatencyIsNeverNegative) {
  // Through (1000, 1 s) and (2000, 3 s) the line begins at -1 s. Without a latency the best slope
  // for relative errors is (sum n / t) / (sum n^2 / t^2) = (1000 + 2000/3) / (1e6 + 4e6/9).
  const std::vector<PingPongSample> samples = {{Bytes(1000), 1}, {Bytes(2000), 3}};
  const LinkFit fit = fit_link(samples);
  EXPECT_EQ(fit.latency_s, 0);
  EXPECT_NEAR(1 / fit.bandwidth.rate(), (1000 + 2000.0 / 3) / (1e6 + 4e6 / 9), 1e-12);
}

TEST(RingRun, APingPongTakesAtLeastWhatTheWireTakes) {
  const std::vector<Bytes> sizes = {Bytes(1 << 10), Bytes(1 << 16)};
  const auto samples = ping_pong(BytesPerSecond(100e6), sizes, 2, [] { return false; });
  ASSERT_TRUE(samples) << samples.error().message;
  ASSERT_EQ(samples->size(), 2U);
  for (const PingPongSample& sample : *samples) {
    EXPECT_GE(sample.seconds, sample.bytes.as_double() / 100e6 - 1e-8);
  }
}

// Every sum is checked by run_ring itself; here, that no rank is quicker than its own wire.
TEST(RingRun, TakesAtLeastItsStepsAndEveryRankHasTheSum) {
  for (const uint32_t ranks : {2u, 3u, 5u}) {
    RingRunSpec spec;
    spec.ranks = ranks;
    spec.rate = BytesPerSecond(200e6);
    spec.bytes = Bytes(int64_t{ranks} * 40'000);
    spec.repeats = 2;
    const Result<RingRun> run = run_ring(spec);
    ASSERT_TRUE(run) << run.error().message;
    ASSERT_EQ(run->seconds.size(), 2U);
    for (const double seconds : run->seconds) EXPECT_GE(seconds, 2 * (ranks - 1) * 200e-6 - 1e-6);
  }
}

TEST(RingRun, AnInterruptEndsIt) {
  RingRunSpec spec;
  spec.rate = BytesPerSecond(200e6);
  spec.bytes = Bytes(1600);
  spec.interrupted = [] { return true; };
  const Result<RingRun> run = run_ring(spec);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, ErrorCode::kInterrupted);
}

}  // namespace
}  // namespace soapbox::calib
