#include "sim/collective/measured.h"

#include <gtest/gtest.h>

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
  const MeasuredCollective measured = *MeasuredCollective::fit(times, 0.001);
  ASSERT_EQ(measured.segments().size(), 2U);
  EXPECT_EQ(measured.segments()[0].last, mebibytes(1));
  EXPECT_NEAR(measured.segments()[0].alpha_s, 20e-6, 1e-9);
  EXPECT_NEAR(measured.segments()[0].beta_s_per_byte * 10e9, 1, 1e-4);
  EXPECT_NEAR(measured.segments()[1].alpha_s, 60e-6, 1e-9);
  EXPECT_NEAR(measured.segments()[1].beta_s_per_byte * 50e9, 1, 1e-4);
  EXPECT_LT(measured.worst_error(), 1e-3);
  EXPECT_EQ(measured.time(Bytes((1 << 20) + 1)), measured.time(mebibytes(1)));
  EXPECT_NEAR(measured.time(gibibytes(4)).seconds(), 60e-6 + 4 * 1073741824.0 / 50e9, 1e-6);
}

// 8 A100, 24 sizes of 1 KiB to 8 GiB: a few lines describe them all, and times never fall.
TEST(Measured, FewSegmentsDescribeEightA100WithinTenPercent) {
  for (const CollectiveOp op :
       {CollectiveOp::kAllReduce, CollectiveOp::kReduceScatter, CollectiveOp::kAllGather,
        CollectiveOp::kBroadcast, CollectiveOp::kAllToAll}) {
    const auto times = read_measured_times(kTable, op, 8);
    ASSERT_TRUE(times) << times.error().to_string();
    EXPECT_EQ(times->size(), 24U);
    const MeasuredCollective measured = *MeasuredCollective::fit(*times, 0.1);
    EXPECT_LE(measured.segments().size(), 5U) << collective_row(op).op_name;
    EXPECT_LE(measured.worst_error(), 0.15) << collective_row(op).op_name;
    Duration before;
    for (int64_t bytes = 1; bytes < int64_t{1} << 36; bytes += 1 + bytes / 7) {
      const Duration time = measured.time(Bytes(bytes));
      EXPECT_GE(time, before) << collective_row(op).op_name << " " << bytes;
      before = time;
    }
  }
}

// What one latency and one bandwidth cannot do: all 24 sizes within a factor of 1.5.
TEST(Measured, OneLineDoesNotDescribeEightA100) {
  const auto times = read_measured_times(kTable, CollectiveOp::kAllReduce, 8);
  EXPECT_GT(MeasuredCollective::fit(*times, 0.1)->segments().size(), 1U);
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
  EXPECT_FALSE(MeasuredCollective::fit({}, 0.1));
  EXPECT_FALSE(
      MeasuredCollective::fit({{Bytes(8), microseconds(1)}, {Bytes(8), microseconds(2)}}, 0.1));
}

}  // namespace
}  // namespace soapbox
