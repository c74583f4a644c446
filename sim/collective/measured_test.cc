#include "sim/collective/measured.h"

#include <gtest/gtest.h>

#include "sim/base/rng.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox {
namespace {

const std::string kTable = SOAPBOX_SOURCE_DIR "/sim/testdata/collectives_a100_8.csv";

TEST(Measured, FindsTheTwoLinesThatMadeTheTimes) {
  // 20 us + S / (10 GB/s) up to 1 MiB, then 60 us + S / (50 GB/s): at 1 MiB 124.9 and 81.0 us, so
  // the second line starts below the first one's end and is flat until it has caught up.
  std::vector<MeasuredTime> times;
  for (int64_t bytes = 1024; bytes <= 1 << 20; bytes *= 2) {
    times.push_back({Bytes(bytes), from_seconds(20e-6 + static_cast<double>(bytes) / 10e9)});
  }
  for (int64_t bytes = 4 << 20; bytes <= 1 << 28; bytes *= 2) {
    times.push_back({Bytes(bytes), from_seconds(60e-6 + static_cast<double>(bytes) / 50e9)});
  }
  const MeasuredCollective measured = *MeasuredCollective::fit(times, 2);
  ASSERT_EQ(measured.segments().size(), 2U);
  EXPECT_EQ(measured.segments()[0].last, mebibytes(1));
  EXPECT_NEAR(measured.segments()[0].alpha_s, 20e-6, 1e-9);
  EXPECT_NEAR(measured.segments()[0].beta_s_per_byte * 10e9, 1, 1e-4);
  EXPECT_NEAR(measured.segments()[1].alpha_s, 60e-6, 1e-9);
  EXPECT_NEAR(measured.segments()[1].beta_s_per_byte * 50e9, 1, 1e-4);
  EXPECT_LT(mean_error(measured, times), 1e-3);
  EXPECT_EQ(measured.time(Bytes((1 << 20) + 1)), measured.time(mebibytes(1)));
  EXPECT_NEAR(measured.time(gibibytes(4)).seconds(), 60e-6 + 4 * 1073741824.0 / 50e9, 1e-6);
}

// 8 A100, 24 sizes of 1 KiB to 8 GiB. Fitted to every second size, the others are predicted, and
// times never fall.
TEST(Measured, FiveSegmentsPredictTheSizesBetween) {
  for (const CollectiveOp op :
       {CollectiveOp::kAllReduce, CollectiveOp::kReduceScatter, CollectiveOp::kAllGather,
        CollectiveOp::kBroadcast, CollectiveOp::kAllToAll}) {
    const auto times = read_measured_times(kTable, op, 8);
    ASSERT_TRUE(times) << times.error().to_string();
    EXPECT_EQ(times->size(), 24U);
    std::vector<MeasuredTime> fitted;
    std::vector<MeasuredTime> held_out;
    for (size_t i = 0; i < times->size(); ++i) (i % 2 ? held_out : fitted).push_back((*times)[i]);
    const MeasuredCollective measured = *MeasuredCollective::fit(fitted, 5);
    EXPECT_LE(mean_error(measured, fitted), 0.03) << collective_row(op).op_name;
    EXPECT_LE(mean_error(measured, held_out), 0.08) << collective_row(op).op_name;
    Duration before;
    for (int64_t bytes = 1; bytes < int64_t{1} << 36; bytes += 1 + bytes / 7) {
      const Duration time = measured.time(Bytes(bytes));
      EXPECT_GE(time, before) << collective_row(op).op_name << " " << bytes;
      before = time;
    }
  }
}

// What one latency and one bandwidth cannot do.
TEST(Measured, OneLineDoesNotDescribeEightA100) {
  const auto times = read_measured_times(kTable, CollectiveOp::kAllReduce, 8);
  EXPECT_GT(mean_error(*MeasuredCollective::fit(*times, 1), *times), 0.1);
}

// Every cut into two segments of at least two points, one by one, against the dynamic program.
TEST(Measured, TheCutIsTheBestOne) {
  Rng rng(3);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<MeasuredTime> times;
    for (int64_t i = 0; i < 7; ++i) {
      times.push_back({Bytes(1000 << i), microseconds(10 + int64_t{rng.below(90)})});
    }
    const auto squares = [](const MeasuredCollective& line, std::span<const MeasuredTime> part) {
      double sum = 0;
      for (const MeasuredTime& time : part) {
        const double error = line.seconds(time.bytes.as_double()) / time.time.seconds() - 1;
        sum += error * error;
      }
      return sum;
    };
    double best = 1e9;
    size_t best_end = 0;
    for (size_t end = 2; end <= 5; ++end) {
      const std::vector<MeasuredTime> left(times.begin(), times.begin() + end);
      const std::vector<MeasuredTime> right(times.begin() + end, times.end());
      const double error = squares(*MeasuredCollective::fit(left, 1), left) +
                           squares(*MeasuredCollective::fit(right, 1), right);
      if (error < best) best_end = end;
      best = std::min(best, error);
    }
    const MeasuredCollective two = *MeasuredCollective::fit(times, 2);
    EXPECT_EQ(two.segments()[0].last, times[best_end - 1].bytes) << trial;
  }
}

TEST(Measured, RefusesWhatIsNoMeasurement) {
  const auto message = [](std::string_view rows) {
    const std::string text = str_cat("op,ranks,bytes,time_us,source\n", rows);
    const auto times = parse_measured_times(text, "t.csv", CollectiveOp::kAllReduce, 8);
    return times ? std::string("accepted") : times.error().to_string();
  };
  EXPECT_EQ(message("all_reduce,8,1024,3.5,me\n"), "accepted");
  EXPECT_NE(message("allreduce,8,1024,3.5,me\n").find("t.csv:2:1"), std::string::npos);
  EXPECT_NE(message("all_reduce,8,1024,-2,me\n").find("t.csv:2:19"), std::string::npos);
  EXPECT_NE(message("all_reduce,8,0,1,me\n").find("t.csv:2:14"), std::string::npos);
  EXPECT_NE(message("all_reduce,4,1024,3.5,me\n").find("among 8 ranks"), std::string::npos);
  EXPECT_FALSE(MeasuredCollective::make({}));
  EXPECT_FALSE(MeasuredCollective::make({{Bytes(8), 1, 1}, {Bytes(8), 2, 1}}));
  EXPECT_FALSE(MeasuredCollective::fit({}, 3));
  EXPECT_FALSE(
      MeasuredCollective::fit({{Bytes(8), microseconds(1)}, {Bytes(8), microseconds(2)}}, 3));
}

}  // namespace
}  // namespace soapbox
