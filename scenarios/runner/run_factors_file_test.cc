#include "scenarios/runner/run_factors_file.h"

#include <gtest/gtest.h>

namespace soapbox::runner {
namespace {

const std::string kHeader =
    "hardware,compute,product,narrow,attention,exchange,overlap,issue_us,step_overhead_ms,"
    "reserved_gib,source\n";

std::string refusal(const std::string& rows) {
  const Result<RunFactorTable> table = RunFactorTable::parse(kHeader + rows, "f.csv");
  return table ? "accepted" : table.error().to_string();
}

TEST(RunFactorTable, TheLongestFamilyOfTheNameCounts) {
  const Result<RunFactorTable> table = RunFactorTable::parse(
      kHeader + "*,,,,,,,,,,\nH100,1.1,0.9,1.3,1.6,1.2,0.3,4,5,2,x\nH100-PCIe,1.5,,,,,,,,,x\n",
      "f.csv");
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->of("V100-SXM2-32GB"), RunFactors{});
  const RunFactors& h100 = table->of("H100-SXM5-80GB");
  EXPECT_EQ(h100.compute, 1.1);
  EXPECT_EQ(h100.exchange, 1.2);
  EXPECT_EQ(h100.overlap, 0.3);
  EXPECT_EQ(h100.product, 0.9);
  EXPECT_EQ(h100.narrow, 1.3);
  EXPECT_EQ(h100.attention, 1.6);
  EXPECT_EQ(h100.issue, microseconds(4));
  EXPECT_EQ(h100.step_overhead, milliseconds(5));
  EXPECT_EQ(h100.reserved, gibibytes(2));
  EXPECT_EQ(table->of("H100-PCIe-80GB").compute, 1.5);
}

TEST(RunFactorTable, RefusesWhatIsNoFactor) {
  EXPECT_EQ(refusal("H100,1.1,,,,,,,,,x\n"), "f.csv:1:1: no line for '*', all other hardware");
  EXPECT_EQ(refusal("*,,,,,,,,,,\n*,,,,,,,,,,\n"), "f.csv:3:1: hardware '*': is given twice");
  EXPECT_EQ(refusal("*,-1,,,,,,,,,\n"), "f.csv:2:3: compute '-1': must be a positive number");
}

}  // namespace
}  // namespace soapbox::runner
