// Simulated time, sizes, work and rates.
//
// Time is int64 picoseconds in two types: a SimTime is a moment, a Duration a length. Moments
// cannot be added; ties are exact; sums do not depend on their order. 2^63 ps is 106 days, and
// every addition of simulated time is checked against overflow. Sizes are int64 bytes, work is
// double FLOPs (a large model's step exceeds int64), rates are SI doubles per second. There is no
// GB = 2^30 here: gb_per_s(1) is 1e9 bytes/s, gibibytes(1) is 2^30 bytes. Only the two divisions
// amount / rate round, to the nearest picosecond.
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>

#include "sim/base/check.h"

namespace soapbox {

inline constexpr double kPicosecondsPerSecond = 1e12;

class Duration {
 public:
  constexpr Duration() = default;
  constexpr explicit Duration(int64_t picoseconds) : ps_(picoseconds) {}
  constexpr int64_t picoseconds() const { return ps_; }
  constexpr double seconds() const { return static_cast<double>(ps_) / kPicosecondsPerSecond; }

  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) {
    int64_t sum = 0;
    SOAPBOX_CHECK(!__builtin_add_overflow(a.ps_, b.ps_, &sum), "duration overflow");
    return Duration(sum);
  }
  friend constexpr Duration operator-(Duration a, Duration b) {
    int64_t difference = 0;
    SOAPBOX_CHECK(!__builtin_sub_overflow(a.ps_, b.ps_, &difference), "duration overflow");
    return Duration(difference);
  }
  friend constexpr Duration operator*(Duration a, int64_t factor) {
    int64_t product = 0;
    SOAPBOX_CHECK(!__builtin_mul_overflow(a.ps_, factor, &product), "duration overflow");
    return Duration(product);
  }
  constexpr Duration& operator+=(Duration other) { return *this = *this + other; }

 private:
  int64_t ps_ = 0;
};

class SimTime {
 public:
  constexpr SimTime() = default;  // the start of the simulation
  constexpr explicit SimTime(int64_t picoseconds) : ps_(picoseconds) {}
  constexpr int64_t picoseconds() const { return ps_; }
  constexpr double seconds() const { return static_cast<double>(ps_) / kPicosecondsPerSecond; }

  friend constexpr auto operator<=>(SimTime, SimTime) = default;
  friend constexpr SimTime operator+(SimTime t, Duration d) {
    int64_t sum = 0;
    SOAPBOX_CHECK(!__builtin_add_overflow(t.ps_, d.picoseconds(), &sum), "simulated time overflow");
    return SimTime(sum);
  }
  friend constexpr Duration operator-(SimTime a, SimTime b) { return Duration(a.ps_ - b.ps_); }

 private:
  int64_t ps_ = 0;
};

class Bytes {
 public:
  constexpr Bytes() = default;
  constexpr explicit Bytes(int64_t count) : count_(count) {}
  constexpr int64_t count() const { return count_; }
  constexpr double as_double() const { return static_cast<double>(count_); }

  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) {
    int64_t sum = 0;
    SOAPBOX_CHECK(!__builtin_add_overflow(a.count_, b.count_, &sum), "byte count overflow");
    return Bytes(sum);
  }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return Bytes(a.count_ - b.count_); }
  friend constexpr Bytes operator*(Bytes a, int64_t factor) {
    int64_t product = 0;
    SOAPBOX_CHECK(!__builtin_mul_overflow(a.count_, factor, &product), "byte count overflow");
    return Bytes(product);
  }
  constexpr Bytes& operator+=(Bytes other) { return *this = *this + other; }

 private:
  int64_t count_ = 0;
};

class Flops {
 public:
  constexpr Flops() = default;
  constexpr explicit Flops(double count) : count_(count) {}
  constexpr double count() const { return count_; }
  friend constexpr auto operator<=>(Flops, Flops) = default;
  friend constexpr Flops operator+(Flops a, Flops b) { return Flops(a.count_ + b.count_); }
  friend constexpr Flops operator*(Flops a, double factor) { return Flops(a.count_ * factor); }
  constexpr Flops& operator+=(Flops other) { return *this = *this + other; }

 private:
  double count_ = 0;
};

class BytesPerSecond {
 public:
  constexpr BytesPerSecond() = default;
  constexpr explicit BytesPerSecond(double rate) : rate_(rate) {}
  constexpr double rate() const { return rate_; }
  friend constexpr auto operator<=>(BytesPerSecond, BytesPerSecond) = default;

 private:
  double rate_ = 0;
};

class FlopsPerSecond {
 public:
  constexpr FlopsPerSecond() = default;
  constexpr explicit FlopsPerSecond(double rate) : rate_(rate) {}
  constexpr double rate() const { return rate_; }
  friend constexpr auto operator<=>(FlopsPerSecond, FlopsPerSecond) = default;

 private:
  double rate_ = 0;
};

// Makers. The literal's unit is in the name.
constexpr Duration picoseconds(int64_t count) {
  return Duration(count);
}
constexpr Duration nanoseconds(int64_t count) {
  return Duration(count) * 1'000;
}
constexpr Duration microseconds(int64_t count) {
  return Duration(count) * 1'000'000;
}
constexpr Duration milliseconds(int64_t count) {
  return Duration(count) * 1'000'000'000;
}
// REQUIRES: finite, and within +-106 days.
inline Duration from_seconds(double seconds) {
  const double ps = seconds * kPicosecondsPerSecond;
  SOAPBOX_CHECK(std::isfinite(ps) && std::fabs(ps) < 9.2e18, "duration out of range");
  return Duration(std::llround(ps));
}
inline Duration scaled(Duration duration, double factor) {
  return from_seconds(duration.seconds() * factor);
}
constexpr Bytes kibibytes(int64_t count) {
  return Bytes(count) * 1024;
}
constexpr Bytes mebibytes(int64_t count) {
  return Bytes(count) * 1024 * 1024;
}
constexpr Bytes gibibytes(int64_t count) {
  return Bytes(count) * 1024 * 1024 * 1024;
}
constexpr BytesPerSecond gb_per_s(double count) {
  return BytesPerSecond(count * 1e9);
}
constexpr FlopsPerSecond tflops_per_s(double count) {
  return FlopsPerSecond(count * 1e12);
}

// The two roundings: to the nearest picosecond, multiplied before divided, so that
// 450 bytes at 450 GB/s are exactly 1000 ps. REQUIRES: rate > 0.
inline Duration operator/(Bytes amount, BytesPerSecond rate) {
  SOAPBOX_CHECK(rate.rate() > 0, "rate must be positive");
  const double ps = amount.as_double() * kPicosecondsPerSecond / rate.rate();
  SOAPBOX_CHECK(ps < 9.2e18, "duration out of range");
  return Duration(std::llround(ps));
}
inline Duration operator/(Flops amount, FlopsPerSecond rate) {
  SOAPBOX_CHECK(rate.rate() > 0, "rate must be positive");
  const double ps = amount.count() * kPicosecondsPerSecond / rate.rate();
  SOAPBOX_CHECK(ps < 9.2e18, "duration out of range");
  return Duration(std::llround(ps));
}

}  // namespace soapbox
