#include "scenarios/runner/topology_import/nccl_topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/runner/topology_import/test_import.h"

namespace soapbox::runner {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Written by hand after what NCCL writes. One socket of a DGX A100: two GPUs and a NIC behind a
// bridge, their NVLinks to six switches.
std::string gpu(int dev, const std::string& bus, const std::string& links) {
  return "<pci busid=\"" + bus +
         "\" class=\"0x030200\" link_speed=\"16.0 GT/s PCIe\" link_width=\"16\"><gpu dev=\"" +
         std::to_string(dev) + "\" sm=\"80\" rank=\"" + std::to_string(dev) + "\" gdr=\"1\">" +
         links + "</gpu></pci>\n";
}
std::string to_switch(const std::string& target) {
  return "<nvlink target=\"" + target + "\" count=\"2\" tclass=\"0x068000\"/>";
}
std::string to_gpu(const std::string& target, int count) {
  return "<nvlink target=\"" + target + "\" count=\"" + std::to_string(count) +
         "\" tclass=\"0x030200\"/>";
}
std::string nic(const std::string& bus, const std::string& name, const std::string& speed) {
  return "<pci busid=\"" + bus +
         "\" class=\"0x020700\" link_speed=\"16.0 GT/s PCIe\" link_width=\"16\"><nic><net name=\"" +
         name + "\" dev=\"0\" speed=\"" + speed + "\" port=\"1\" gdr=\"1\"/></nic></pci>\n";
}
std::string bridge(const std::string& bus, const std::string& inside) {
  return "<pci busid=\"" + bus +
         "\" class=\"0x060400\" link_speed=\"16.0 GT/s PCIe\" link_width=\"16\">\n" + inside +
         "</pci>\n";
}
std::string cpu(int numa, const std::string& inside) {
  return "<cpu numaid=\"" + std::to_string(numa) +
         "\" affinity=\"ffff\" arch=\"x86_64\" vendor=\"AuthenticAMD\" familyid=\"143\" "
         "modelid=\"49\">\n" +
         inside + "</cpu>\n";
}
std::string switches() {
  std::string links;
  for (const char* const bus : {"c4", "c5", "c6", "c7", "c8", "c9"}) {
    links += to_switch("0000:" + std::string(bus) + ":00.0");
  }
  return links;
}
std::string dgx_a100() {
  return "<system version=\"1\">\n" +
         cpu(3, bridge("0000:05:00.0", gpu(0, "0000:07:00.0", switches()) +
                                           gpu(1, "0000:0f:00.0", switches()) +
                                           nic("0000:0c:00.0", "mlx5_0", "200000"))) +
         cpu(1, bridge("0000:45:00.0", gpu(2, "0000:47:00.0", switches()) +
                                           nic("0000:4b:00.0", "mlx5_1", "200000") +
                                           gpu(3, "0000:4e:00.0", switches()))) +
         "</system>\n";
}

TEST(NcclTopology, DgxA100HasItsSwitchesAndNics) {
  const LinkFigures figures = figures_of("A100-SXM4-40GB");
  const Result<ImportedNode> node = node_from_nccl_xml(dgx_a100(), "topo.xml", figures);
  ASSERT_TRUE(node) << node.error().to_string();
  EXPECT_THAT(node->nics, ElementsAre("mlx5_0", "mlx5_1"));
  EXPECT_EQ(node->nic_gbit_per_s, 200);
  const Cluster one = imported_cluster(*node, figures);
  EXPECT_THAT(path_between(one, 0, 3), ElementsAre("node0.nvswitch0", "node0.gpu3"));
  EXPECT_NEAR(one.route(DeviceId(0), DeviceId(3)).bandwidth.rate(), 276.4e9, 1e7);
  const Cluster two = imported_cluster(*node, figures, 2);
  EXPECT_THAT(path_between(two, 2, 4), ElementsAre("node0.pcie1", "node0.nic1", "fabric",
                                                   "node1.nic0", "node1.pcie0", "node1.gpu0"));
  EXPECT_EQ(two.route(DeviceId(2), DeviceId(4)).bandwidth.rate(), 23.5e9);
}

// GPUs joined directly, two and one NVLinks; a bridge with one thing below is no switch, and the
// narrowest of its cables counts.
TEST(NcclTopology, DirectNvlinksAndNarrowCables) {
  const std::string narrow =
      "<pci busid=\"0000:09:00.0\" class=\"0x060400\" link_speed=\"8.0 GT/s PCIe\" "
      "link_width=\"8\">" +
      gpu(2, "0000:0a:00.0", "") + "</pci>";
  const std::string text = "<system version=\"1\">" +
                           cpu(0, gpu(0, "0000:07:00.0", to_gpu("0000:08:00.0", 2)) +
                                      gpu(1, "0000:08:00.0", to_gpu("0000:07:00.0", 2)) + narrow) +
                           "</system>";
  const LinkFigures figures = figures_of("V100-SXM2-16GB");
  const Result<ImportedNode> node = node_from_nccl_xml(text, "topo.xml", figures);
  ASSERT_TRUE(node) << node.error().to_string();
  const Cluster made = imported_cluster(*node, figures);
  EXPECT_THAT(path_between(made, 0, 1), ElementsAre("node0.gpu1"));
  EXPECT_NEAR(made.route(DeviceId(0), DeviceId(1)).bandwidth.rate(), 143.7e9 / 3, 1e7);
  EXPECT_THAT(path_between(made, 0, 2), ElementsAre("node0.cpu0", "node0.gpu2"));
  EXPECT_NEAR(made.route(DeviceId(0), DeviceId(2)).bandwidth.rate(), 12.3e9 / 2, 1e7);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(NcclTopology, MistakesAreRefusedAtTheirPlace) {
  const auto error = [](const std::string& text, const std::string& gpu_name = "A100-SXM4-40GB") {
    const LinkFigures figures = figures_of(gpu_name);
    const Result<ImportedNode> node = node_from_nccl_xml(text, "topo.xml", figures);
    EXPECT_FALSE(node) << text;
    return node ? "" : node.error().to_string();
  };
  const std::string good = dgx_a100();
  EXPECT_THAT(error("<graph/>"), HasSubstr("topo.xml:1:1: <graph> is not NCCL's topology"));
  EXPECT_THAT(error("<system/>"), HasSubstr("no <cpu>"));
  EXPECT_THAT(error("<system><cpu/></system>"), HasSubstr("no <gpu>"));
  EXPECT_THAT(error(replaced(good, "dev=\"1\"", "dev=\"0\"")),
              HasSubstr("topo.xml:5:88: two GPUs have dev 0"));
  EXPECT_THAT(error(replaced(good, "dev=\"1\"", "dev=\"one\"")),
              HasSubstr("dev of <gpu> is 'one'"));
  EXPECT_THAT(error(replaced(good, "16.0 GT/s", "17 GT/s")), HasSubstr("'17 GT/s PCIe'"));
  EXPECT_THAT(error(replaced(good, "speed=\"200000\"", "speed=\"fast\"")), HasSubstr("'fast'"));
  EXPECT_THAT(error(replaced(good, "tclass=\"0x068000\"", "tclass=\"0x030200\"")),
              HasSubstr("the NVLink's target '0000:c4:00.0' is no GPU"));
  EXPECT_THAT(error(good, "V100-SXM2-32GB"), HasSubstr("allowed: 6, those of V100-SXM2-32GB"));
  EXPECT_THAT(error(good.substr(0, good.size() / 2)), HasSubstr("not well-formed XML"));
  const std::string one_sided = "<system><cpu>" +
                                gpu(0, "0000:07:00.0", to_gpu("0000:08:00.0", 2)) +
                                gpu(1, "0000:08:00.0", "") + "</cpu></system>";
  EXPECT_THAT(error(one_sided),
              HasSubstr("gpu0 has 2 NVLinks to gpu1, the other way round it is 0"));
}

}  // namespace
}  // namespace soapbox::runner
