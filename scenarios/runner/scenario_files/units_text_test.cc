#include "scenarios/runner/scenario_files/units_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace soapbox::runner {
namespace {

using ::testing::HasSubstr;

TEST(UnitsText, ReadsBandwidths) {
  EXPECT_EQ(parse_bandwidth("12.5 GB/s")->rate(), 12.5e9);
  EXPECT_EQ(parse_bandwidth("12.5GB/s")->rate(), 12.5e9);
  EXPECT_EQ(parse_bandwidth("100 Gbit/s")->rate(), 12.5e9);  // 100e9 / 8
  EXPECT_EQ(parse_bandwidth("10 Mbit/s")->rate(), 1.25e6);
  EXPECT_EQ(parse_bandwidth("15 GiB/s")->rate(), 15.0 * 1073741824.0);  // 2^30
  EXPECT_EQ(parse_bandwidth("1e3 KB/s")->rate(), 1e6);
  EXPECT_EQ(parse_bandwidth("0 B/s")->rate(), 0.0);
  EXPECT_EQ(parse_bandwidth("1.8 TB/s")->rate(), 1.8e12);
}

TEST(UnitsText, ReadsSizes) {
  EXPECT_EQ(*parse_bytes("1 MiB"), Bytes(1048576));
  EXPECT_EQ(*parse_bytes("16 GB"), Bytes(16'000'000'000));
  EXPECT_EQ(*parse_bytes("1.5 KB"), Bytes(1500));
  EXPECT_EQ(*parse_bytes("64 GiB"), gibibytes(64));
  EXPECT_EQ(*parse_bytes("7B"), Bytes(7));
}

TEST(UnitsText, ReadsDurations) {
  EXPECT_EQ(*parse_duration("5 us"), microseconds(5));
  EXPECT_EQ(*parse_duration("5us"), microseconds(5));
  EXPECT_EQ(*parse_duration("0.5 ns"), picoseconds(500));
  EXPECT_EQ(*parse_duration("2 min"), milliseconds(120'000));
  EXPECT_EQ(*parse_duration("0 s"), Duration());
  EXPECT_EQ(*parse_duration("1 h"), milliseconds(3'600'000));
}

std::string refusal(const char* text) {
  return parse_bandwidth(text).error().message;
}

TEST(UnitsText, RefusesANumberWithoutAUnit) {
  EXPECT_THAT(refusal("12.5"), HasSubstr("'12.5' has no unit, write for example '12.5 GB/s'"));
  EXPECT_THAT(refusal("12.5 "), HasSubstr("has no unit"));
  EXPECT_THAT(parse_duration("5").error().message, HasSubstr("known: ps, ns, us"));
  EXPECT_THAT(parse_bytes("0").error().message, HasSubstr("has no unit"));
}

TEST(UnitsText, RefusesUnitsThatAreUnknownOrOfAnotherQuantity) {
  EXPECT_THAT(refusal("12.5 Gb/s"), HasSubstr("unknown unit 'Gb/s'; did you mean"));
  EXPECT_THAT(refusal("12.5 G"), HasSubstr("unknown unit 'G'"));
  EXPECT_THAT(refusal("12.5 GB"), HasSubstr("did you mean 'GB/s'"));
  EXPECT_THAT(refusal("5 us"), HasSubstr("unknown unit 'us'"));
  EXPECT_THAT(refusal("12.5  GB/s"), HasSubstr("unknown unit ' GB/s'"));  // two spaces
  EXPECT_THAT(refusal("12.5 GB/s "), HasSubstr("unknown unit 'GB/s '"));
  EXPECT_THAT(refusal("12,5 GB/s"), HasSubstr("unknown unit ',5 GB/s'"));
}

TEST(UnitsText, RefusesWhatIsNoFiniteNonNegativeNumber) {
  for (const char* text : {"", " ", "GB/s", "fast", "nan GB/s", "inf GB/s", "+5 GB/s", "0x"}) {
    EXPECT_FALSE(parse_bandwidth(text).has_value()) << text;
  }
  EXPECT_THAT(refusal("fast"), HasSubstr("'fast' is no bandwidth"));
  EXPECT_THAT(refusal("-1 GB/s"), HasSubstr("'-1 GB/s' is negative"));
  EXPECT_THAT(refusal("-0 GB/s"), HasSubstr("is negative"));
  EXPECT_THAT(refusal("1e999 GB/s"), HasSubstr("out of range"));
  EXPECT_THAT(refusal("1e300 TB/s"), HasSubstr("out of range"));
}

TEST(UnitsText, RefusesAmountsThatDoNotFit) {
  EXPECT_THAT(parse_bytes("0.5 B").error().message, HasSubstr("not a whole number of bytes"));
  EXPECT_THAT(parse_bytes("1e7 TB").error().message, HasSubstr("out of range"));  // 1e19 > 2^63
  EXPECT_THAT(parse_duration("1e9 h").error().message, HasSubstr("longer than 100 days"));
}

}  // namespace
}  // namespace soapbox::runner
