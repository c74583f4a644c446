#include "scenarios/runner/scenario_files/hardware_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "scenarios/runner/scenario_files/text_file.h"

namespace soapbox::runner {
namespace {

using ::testing::HasSubstr;

std::string shipped_text() {
  return *read_text_file(std::string(SOAPBOX_SOURCE_DIR) + "/scenarios/hardware/hardware.csv");
}

TEST(HardwareFile, ReadsTheShippedCatalogue) {
  const HardwareCatalogue catalogue = *HardwareCatalogue::parse(shipped_text(), "hardware.csv");
  EXPECT_GE(catalogue.devices().size(), 33u);
  const Hardware p100 = *catalogue.find("P100-SXM2-16GB");
  EXPECT_EQ(p100.fp32_peak.rate(), 10.6e12);
  EXPECT_EQ(p100.fp16_peak.rate(), 21.2e12);
  EXPECT_EQ(p100.tf32_peak.rate(), 0.0);  // Pascal has no such units
  EXPECT_EQ(p100.memory_bandwidth, gb_per_s(732));
  EXPECT_EQ(p100.memory, gibibytes(16));
  EXPECT_EQ(p100.sm_count, 56);
  // Its 56 SMs of 64 lanes at 1480 MHz, two operations each: 10.6 TFLOP/s.
  EXPECT_NEAR(p100.fp32_peak.rate(), 56 * 64 * 2 * 1.480e9, 0.01e12);
  const Hardware h100 = *catalogue.find("H100-SXM5-80GB");
  EXPECT_EQ(h100.bf16_peak.rate(), 989.4e12);
  EXPECT_EQ(h100.fp8_peak.rate(), 1978.9e12);
}

TEST(HardwareFile, KnowsTheBestProductsThatWereMeasured) {
  const HardwareCatalogue catalogue = *HardwareCatalogue::parse(shipped_text(), "hardware.csv");
  EXPECT_EQ(catalogue.best_product("MI300X").rate(), 668.4e12);
  EXPECT_EQ(catalogue.best_product("V100-SXM2-32GB").rate(), 0.0);
  EXPECT_EQ(catalogue.best_product("no such device").rate(), 0.0);
}

TEST(HardwareFile, UnknownDeviceNamesTheNearest) {
  const HardwareCatalogue catalogue = *HardwareCatalogue::parse(shipped_text(), "hardware.csv");
  EXPECT_THAT(catalogue.find("P100-SXM2-16G").error().message,
              HasSubstr("unknown hardware 'P100-SXM2-16G'; did you mean 'P100-SXM2-16GB'?"));
}

// The shipped file with one text replaced.
std::string refusal(const std::string& from, const std::string& to) {
  std::string text = shipped_text();
  const size_t found = text.find(from);
  EXPECT_NE(found, std::string::npos) << from;
  text.replace(found, from.size(), to);
  const Result<HardwareCatalogue> catalogue = HardwareCatalogue::parse(text, "hardware.csv");
  return catalogue ? "" : catalogue.error().to_string();
}

TEST(HardwareFile, ErrorsSayLineColumnAndCell) {
  // K80 is the first row; mem_bw_gbs is its eleventh cell.
  EXPECT_THAT(
      refusal("GDDR5,240,", "GDDR5,-240,"),
      HasSubstr("hardware.csv:2:55: mem_bw_gbs '-240': must be a positive number, or empty"));
  EXPECT_THAT(refusal("GDDR5,240,", "GDDR5,,"), HasSubstr("mem_bw_gbs '': must not be empty"));
  EXPECT_THAT(refusal("GDDR5,240,", "GDDR5,nan,"),
              HasSubstr("mem_bw_gbs 'nan': must be a positive number"));
  EXPECT_THAT(refusal("2014,13,", "2014,13.5,"), HasSubstr("sm_or_cu '13.5': must be a whole"));
  EXPECT_THAT(refusal("P100-SXM2-16GB,", "K80-GK210,"),
              HasSubstr("hardware.csv:3:1: id 'K80-GK210': is given twice"));
  EXPECT_THAT(refusal("id,vendor", "name,vendor"),
              HasSubstr("hardware.csv:1:1: column 1 of the header is 'name'; it must be 'id'"));
  EXPECT_THAT(refusal(",notes\n", ",remarks\n"),
              HasSubstr("column 36 of the header is 'remarks'; it must be 'notes'"));
}

}  // namespace
}  // namespace soapbox::runner
