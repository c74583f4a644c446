#include "calib/runs/ring_run.h"

#include <gtest/gtest.h>

namespace soapbox::calib {
namespace {

TEST(RingRun, APingPongTakesAtLeastWhatTheWireTakes) {
  const std::vector<Bytes> sizes = {Bytes(1 << 10), Bytes(1 << 16)};
  const auto samples = ping_pong(BytesPerSecond(100e6), sizes, 2, [] { return false; });
  ASSERT_TRUE(samples) << samples.error().message;
  ASSERT_EQ(samples->size(), 2U);
  for (const TimedTransfer& sample : *samples) {
    EXPECT_GE(sample.seconds, static_cast<double>(sample.bytes) / 100e6 - 1e-8);
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
