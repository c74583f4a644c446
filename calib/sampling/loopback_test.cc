#include "calib/sampling/loopback.h"

#include <gtest/gtest.h>

#include "calib/sampling/measure.h"

namespace soapbox::calib {
namespace {

// More than any socket's buffers hold, so that sending must wait for receiving.
TEST(Loopback, CarriesMoreThanItsBuffersHold) {
  const auto large = prepare_loopback(Bytes(64 << 20));
  ASSERT_TRUE(large) << large.error().message;
  (*large)->run();
  (*large)->cool();
  (*large)->run();
}

// A copy in and a copy out of the kernel: never faster than 100 GB/s, whatever the machine.
TEST(Loopback, MoreBytesTakeLonger) {
  Measurer measurer({.least_samples = 10, .most_samples = 10}, 1);
  const auto small = prepare_loopback(Bytes(1 << 10));
  const auto large = prepare_loopback(Bytes(8 << 20));
  ASSERT_TRUE(small && large);
  const double small_s = median(measurer.measure(std::vector{small->get()})[0].cold_s);
  const double large_s = median(measurer.measure(std::vector{large->get()})[0].cold_s);
  EXPECT_GT(small_s, 1e-7);
  EXPECT_GT(large_s, small_s);
  EXPECT_GT(large_s, static_cast<double>(8 << 20) / 1e11);
}

}  // namespace
}  // namespace soapbox::calib
