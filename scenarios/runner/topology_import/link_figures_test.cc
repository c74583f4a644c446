#include "scenarios/runner/topology_import/link_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/runner/topology_import/test_import.h"

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

// scenarios/hardware: 143.7 of 150 GB/s over 6 links, 276.4 of 300 over 12, 396.4 of 450 over 18.
TEST(LinkFigures, NvlinksAchieveWhatWasMeasured) {
  EXPECT_NEAR(figures_of("V100-SXM2-32GB").nvlink().bandwidth.rate(), 143.7e9 / 6, 1e6);
  EXPECT_NEAR(figures_of("A100-SXM4-40GB").nvlink().bandwidth.rate(), 276.4e9 / 12, 1e6);
  EXPECT_NEAR(figures_of("H100-SXM5-80GB").nvlink().bandwidth.rate(), 396.4e9 / 18, 1e6);
  // NVLink 5 has no measurement of one pair: as much of 50 GB/s a link as NVLink 4.
  EXPECT_NEAR(figures_of("B200-SXM-180GB").nvlink().bandwidth.rate(), 50e9 * 0.881, 1e6);
  EXPECT_EQ(figures_of("V100-SXM2-32GB").nvlinks(), 6);
  EXPECT_EQ(figures_of("A100-SXM4-40GB").nvlinks(), 12);
  EXPECT_EQ(figures_of("H100-SXM5-80GB").nvlinks(), 18);
  EXPECT_EQ(figures_of("T4").nvlinks(), 0);
}

TEST(LinkFigures, PcieScalesWithLanesAndDoublesWithEachGeneration) {
  const LinkFigures figures = figures_of("A100-PCIe-40GB");
  EXPECT_NEAR(figures.pcie(3, 16).bandwidth.rate(), 12.3e9, 1e6);
  EXPECT_NEAR(figures.pcie(4, 16).bandwidth.rate(), 26.0e9, 1e6);
  EXPECT_NEAR(figures.pcie(4, 8).bandwidth.rate(), 13.0e9, 1e6);
  EXPECT_NEAR(figures.pcie(5, 16).bandwidth.rate(), 55.4e9, 1e6);
  // Not measured: the share of the rate of the nearest generation that was.
  EXPECT_NEAR(figures.pcie(2, 16).bandwidth.rate(), 12.3e9 / 2, 1e6);
  EXPECT_NEAR(figures.pcie(6, 16).bandwidth.rate(), 55.4e9 * 2, 1e6);
}

TEST(LinkFigures, NetworksByTheirRate) {
  const LinkFigures figures = figures_of("A100-SXM4-80GB");
  EXPECT_EQ(figures.network(100).bandwidth.rate(), 12.0e9);
  EXPECT_EQ(figures.network(200).bandwidth.rate(), 23.5e9);
  EXPECT_EQ(figures.network(400).bandwidth.rate(), 48.5e9);
  EXPECT_NEAR(figures.network(10).bandwidth.rate(), 1.2e9, 1);
}

TEST(LinkFigures, UnknownGpuIsRefusedWithTheNearest) {
  const auto figures = LinkFigures::read(test_scenarios(), "A100-SXM4-40");
  ASSERT_FALSE(figures);
  EXPECT_THAT(figures.error().message, HasSubstr("did you mean 'A100-SXM4-40GB'?"));
}

}  // namespace
}  // namespace soapbox::runner
