#include "sim/cost/measured_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace soapbox {
namespace {

constexpr const char* kHeader = "hardware,kind,type,phase,extents,window,time_us\n";

Result<MeasuredTable> parse(const std::string& rows) {
  return MeasuredTable::parse(kHeader + rows, "t.csv", "P100");
}

std::string refusal(const std::string& rows) {
  const Result<MeasuredTable> table = parse(rows);
  return table ? "accepted" : table.error().to_string();
}

Operator linear() {
  Operator op;
  op.kind = OpKind::kLinear;
  op.dims = {{"sample", 64, DimClass::kSample},
             {"out_channel", 100, DimClass::kParameter},
             {"in_channel", 50, DimClass::kReduction}};
  op.output_rank = 2;
  return op;
}

TEST(MeasuredTable, GivesWhatWasMeasured) {
  const auto table = parse("P100,linear,fp32,forward,64x100x50,-,12.5\n");
  ASSERT_TRUE(table) << table.error().to_string();
  const auto figure = table->find(linear(), {64, 100, 50, 1, 1, 1}, Phase::kForward);
  ASSERT_TRUE(figure);
  EXPECT_EQ(figure->time, nanoseconds(12500));
  EXPECT_FALSE(figure->interpolated);
  EXPECT_FALSE(table->find(linear(), {64, 100, 50, 1, 1, 1}, Phase::kBackwardInput));
}

TEST(MeasuredTable, InterpolatesInsideAOneDimensionalSweepOnly) {
  const auto table = parse(
      "P100,linear,fp32,forward,32x100x50,-,10\n"
      "P100,linear,fp32,forward,64x100x50,-,14\n"
      "P100,linear,fp32,forward,128x100x50,-,30\n"
      "P100,linear,fp32,forward,128x200x50,-,50\n");
  ASSERT_TRUE(table) << table.error().to_string();
  const auto between = table->find(linear(), {96, 100, 50, 1, 1, 1}, Phase::kForward);
  ASSERT_TRUE(between);
  EXPECT_EQ(between->time, microseconds(22));  // half-way from 14 to 30
  EXPECT_TRUE(between->interpolated);
  const auto by_channel = table->find(linear(), {128, 150, 50, 1, 1, 1}, Phase::kForward);
  ASSERT_TRUE(by_channel);
  EXPECT_EQ(by_channel->time, microseconds(40));
  EXPECT_FALSE(table->find(linear(), {16, 100, 50, 1, 1, 1}, Phase::kForward)) << "below the sweep";
  EXPECT_FALSE(table->find(linear(), {256, 100, 50, 1, 1, 1}, Phase::kForward)) << "above it";
  EXPECT_FALSE(table->find(linear(), {96, 150, 50, 1, 1, 1}, Phase::kForward)) << "two dimensions";
}

TEST(MeasuredTable, TellsWindowsApart) {
  const auto table = parse(
      "P100,pool2d,fp32,forward,1x2x3x4,3x3s2,5\n"
      "P100,pool2d,fp32,forward,1x2x3x4,2x2s2,4\n");
  ASSERT_TRUE(table) << table.error().to_string();
  Operator pool;
  pool.kind = OpKind::kPool2d;
  pool.dims = {{"sample", 1}, {"channel", 2}, {"height", 3}, {"width", 4}};
  pool.output_rank = 4;
  pool.kernel_h = pool.kernel_w = 2;
  pool.inputs = {{OpId(0),
                  {AxisMap::follow(0), AxisMap::follow(1), AxisMap::window(2, 2, 2, 0),
                   AxisMap::window(3, 2, 2, 0)}}};
  const auto figure = table->find(pool, {1, 2, 3, 4, 1, 1}, Phase::kForward);
  ASSERT_TRUE(figure);
  EXPECT_EQ(figure->time, microseconds(4));
}

TEST(MeasuredTable, RefusesBadRowsWithTheirPlace) {
  EXPECT_EQ(refusal("K80,linear,fp32,forward,64x100x50,-,1\n"),
            "t.csv:2:1: hardware 'K80': this table belongs to P100");
  EXPECT_THAT(refusal("P100,linar,fp32,forward,64x100x50,-,1\n"),
              testing::StartsWith("t.csv:2:6: unknown kind 'linar'; did you mean 'linear'?"));
  EXPECT_THAT(refusal("P100,linear,fp33,forward,64x100x50,-,1\n"),
              testing::StartsWith("t.csv:2:13: unknown type 'fp33'"));
  EXPECT_THAT(refusal("P100,linear,fp32,forwards,64x100x50,-,1\n"),
              testing::StartsWith("t.csv:2:18: unknown phase 'forwards'; did you mean 'forward'?"));
  EXPECT_THAT(refusal("P100,linear,fp32,forward,64x-1,-,1\n"), testing::StartsWith("t.csv:2:26: "));
  EXPECT_THAT(refusal("P100,linear,fp32,forward,64x,-,1\n"), testing::StartsWith("t.csv:2:26: "));
  EXPECT_THAT(refusal("P100,linear,fp32,forward,64,3x3s1,1\n"),
              testing::StartsWith("t.csv:2:29: window '3x3s1': must be - for "));
  EXPECT_THAT(refusal("P100,conv2d,fp32,forward,64,3x3,1\n"),
              testing::StartsWith("t.csv:2:29: window '3x3': "));
  EXPECT_EQ(refusal("P100,linear,fp32,forward,64x100x50,-,0\n"),
            "t.csv:2:38: time_us '0': must be a positive number");
  EXPECT_EQ(refusal("P100,linear,fp32,forward,64x100x50,-,-3\n"),
            "t.csv:2:38: time_us '-3': must be a positive number");
  EXPECT_EQ(refusal("P100,linear,fp32,forward,64x100x50,-,nan\n"),
            "t.csv:2:38: time_us 'nan': must be a positive number");
  EXPECT_EQ(refusal("P100,linear,fp32,forward,64,-,1\nP100,linear,fp32,forward,64,-,2\n"),
            "t.csv:3:26: extents '64': already given in line 2");
  EXPECT_EQ(refusal("P100,linear,fp32\n"), "t.csv:2:1: a row needs 7 cells, this one has 3");
  EXPECT_EQ(refusal(""), "t.csv:2: the table has no rows");
}

TEST(MeasuredTable, RefusesAnotherHeader) {
  const auto table = MeasuredTable::parse("a,b\n1,2\n", "t.csv", "P100");
  ASSERT_FALSE(table);
  EXPECT_THAT(table.error().to_string(),
              testing::StartsWith("t.csv:1:1: column 1 of the header is 'a'; it must be 'hard"));
}

}  // namespace
}  // namespace soapbox
