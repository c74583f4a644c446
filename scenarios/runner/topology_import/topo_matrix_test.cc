#include "scenarios/runner/topology_import/topo_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/runner/topology_import/test_import.h"

namespace soapbox::runner {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Written by hand after what such machines print.
constexpr std::string_view kDgx1V =
    "\t\x1b[4mGPU0\tGPU1\tGPU2\tGPU3\tGPU4\tGPU5\tGPU6\tGPU7\tmlx5_0\tmlx5_1\tmlx5_2\tmlx5_3\tCPU "
    "Affinity\x1b[0m\n"
    "GPU0\t X \tNV1\tNV1\tNV2\tNV2\tSYS\tSYS\tSYS\tPIX\tPHB\tSYS\tSYS\t0-19,40-59\n"
    "GPU1\tNV1\t X \tNV2\tNV1\tSYS\tNV2\tSYS\tSYS\tPIX\tPHB\tSYS\tSYS\t0-19,40-59\n"
    "GPU2\tNV1\tNV2\t X \tNV2\tSYS\tSYS\tNV1\tSYS\tPHB\tPIX\tSYS\tSYS\t0-19,40-59\n"
    "GPU3\tNV2\tNV1\tNV2\t X \tSYS\tSYS\tSYS\tNV1\tPHB\tPIX\tSYS\tSYS\t0-19,40-59\n"
    "GPU4\tNV2\tSYS\tSYS\tSYS\t X \tNV1\tNV1\tNV2\tSYS\tSYS\tPIX\tPHB\t20-39,60-79\n"
    "GPU5\tSYS\tNV2\tSYS\tSYS\tNV1\t X \tNV2\tNV1\tSYS\tSYS\tPIX\tPHB\t20-39,60-79\n"
    "GPU6\tSYS\tSYS\tNV1\tSYS\tNV1\tNV2\t X \tNV2\tSYS\tSYS\tPHB\tPIX\t20-39,60-79\n"
    "GPU7\tSYS\tSYS\tSYS\tNV1\tNV2\tNV1\tNV2\t X \tSYS\tSYS\tPHB\tPIX\t20-39,60-79\n"
    "mlx5_0\tPIX\tPIX\tPHB\tPHB\tSYS\tSYS\tSYS\tSYS\t X \tPHB\tSYS\tSYS\t\n"
    "mlx5_1\tPHB\tPHB\tPIX\tPIX\tSYS\tSYS\tSYS\tSYS\tPHB\t X \tSYS\tSYS\t\n"
    "mlx5_2\tSYS\tSYS\tSYS\tSYS\tPIX\tPIX\tPHB\tPHB\tSYS\tSYS\t X \tPHB\t\n"
    "mlx5_3\tSYS\tSYS\tSYS\tSYS\tPHB\tPHB\tPIX\tPIX\tSYS\tSYS\tPHB\t X \t\n"
    "\nLegend:\n\n  X    = Self\n  SYS  = Connection traversing PCIe as well as the SMP "
    "interconnect between NUMA nodes (e.g., QPI/UPI)\n";

// DGX A100: all pairs NV12, two GPUs and two NICs behind cascaded switches, pasted with blanks.
std::string dgx_a100() {
  std::string text = "      GPU0 GPU1 GPU2 GPU3 GPU4 GPU5 GPU6 GPU7";
  for (int nic = 0; nic < 8; ++nic) text += " NIC" + std::to_string(nic);
  text += "  CPU Affinity  NUMA Affinity\n";
  for (int row = 0; row < 16; ++row) {
    const bool gpu = row < 8;
    const int row_pair = row % 8 / 2;
    text += (gpu ? "GPU" : "NIC") + std::to_string(row % 8);
    for (int column = 0; column < 16; ++column) {
      const bool other_gpu = column < 8;
      const bool near = column % 8 / 2 == row_pair;
      std::string cell = "SYS";
      if (near) cell = gpu == other_gpu ? "PIX" : "PXB";
      if (gpu && other_gpu) cell = "NV12";
      if (row == column) cell = "X";
      text += "  " + cell;
    }
    if (gpu) text += "  0-15  " + std::to_string(row_pair);
    text += "\n";
  }
  return text + "\nLegend:\n";
}

// Four GPUs without NVLink: two behind a switch with a NIC, two on the host bridge.
constexpr std::string_view kPcieBox =
    "\tGPU0\tGPU1\tGPU2\tGPU3\tNIC0\tCPU Affinity\tNUMA Affinity\n"
    "GPU0\t X \tPIX\tPHB\tNODE\tPIX\t0-31\t0\n"
    "GPU1\tPIX\t X \tPHB\tNODE\tPIX\t0-31\t0\n"
    "GPU2\tPHB\tPHB\t X \tNODE\tPHB\t0-31\t0\n"
    "GPU3\tNODE\tNODE\tNODE\t X \tNODE\t0-31\t0\n"
    "NIC0\tPIX\tPIX\tPHB\tNODE\t X \t\t\n";

Cluster imported(std::string_view text, const std::string& gpu) {
  const LinkFigures figures = figures_of(gpu);
  const Result<ImportedNode> node = node_from_topo_matrix(text, "topo.txt", figures);
  EXPECT_TRUE(node) << (node ? "" : node.error().to_string());
  return imported_cluster(*node, figures);
}

// The shipped file says the same: NVLinks, switches and sockets. Only the sockets' generation is
// not in the matrix.
TEST(TopoMatrix, Dgx1VIsTheShippedCluster) {
  const Cluster made = imported(kDgx1V, "V100-SXM2-32GB");
  const Cluster shipped = *load_cluster(test_scenarios(), "dgx_v100", {});
  ASSERT_EQ(made.device_count(), 8u);
  for (uint32_t a = 0; a < 8; ++a) {
    for (uint32_t b = 0; b < 8; ++b) {
      if (a == b) continue;
      EXPECT_EQ(path_between(made, a, b), path_between(shipped, a, b)) << a << " " << b;
      const Route route = made.route(DeviceId(a), DeviceId(b));
      const Route same = shipped.route(DeviceId(a), DeviceId(b));
      EXPECT_EQ(route.latency, same.latency);
      if (path_between(made, a, b).size() < 5) {
        EXPECT_NEAR(route.bandwidth.rate() / same.bandwidth.rate(), 1, 1e-4);
      }
    }
  }
}

TEST(TopoMatrix, MoreNvlinksThanAGpuHasAreAnNvswitch) {
  const Cluster made = imported(dgx_a100(), "A100-SXM4-40GB");
  EXPECT_THAT(path_between(made, 0, 7), ElementsAre("node0.nvswitch0", "node0.gpu7"));
  EXPECT_NEAR(made.route(DeviceId(0), DeviceId(7)).bandwidth.rate(), 276.4e9, 1e7);
  // A PCIe switch for two GPUs, one for two NICs, one above both: for each of four NUMA nodes.
  size_t switches = 0;
  size_t cpus = 0;
  for (const Vertex& vertex : made.vertices()) {
    switches += vertex.name.find("pcie") != std::string::npos ? 1 : 0;
    cpus += vertex.name.find("cpu") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(cpus, 4u);
  EXPECT_EQ(switches, 4u * 2);
}

TEST(TopoMatrix, PcieBoxesHaveTheirSwitches) {
  const Cluster made = imported(kPcieBox, "RTX-4090");
  EXPECT_THAT(path_between(made, 0, 1), ElementsAre("node0.pcie0", "node0.gpu1"));
  EXPECT_THAT(path_between(made, 0, 2), ElementsAre("node0.pcie0", "node0.cpu0", "node0.gpu2"));
  EXPECT_THAT(path_between(made, 2, 3), ElementsAre("node0.cpu0", "node0.gpu3"));
  EXPECT_NEAR(made.route(DeviceId(0), DeviceId(3)).bandwidth.rate(), 26e9, 1e7);
}

TEST(TopoMatrix, SeveralNodesAreJoinedByTheirNics) {
  const LinkFigures figures = figures_of("RTX-4090");
  ImportedNode node = *node_from_topo_matrix(kPcieBox, "topo.txt", figures);
  EXPECT_THAT(cluster_toml(node, figures, 2).error().message, HasSubstr("--nic-gbits"));
  node.nic_gbit_per_s = 100;
  const Cluster made = imported_cluster(node, figures, 4);
  EXPECT_EQ(made.device_count(), 16u);
  EXPECT_EQ(made.route(DeviceId(0), DeviceId(15)).bandwidth.rate(), 12e9);
  node.nics.clear();
  EXPECT_FALSE(cluster_toml(node, figures, 2));
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  const size_t at = out.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return out.replace(at, from.size(), to);
}

TEST(TopoMatrix, MistakesAreRefusedAtTheirPlace) {
  const auto error = [](const std::string& text, const std::string& gpu) {
    const LinkFigures figures = figures_of(gpu);
    const Result<ImportedNode> node = node_from_topo_matrix(text, "topo.txt", figures);
    EXPECT_FALSE(node) << text;
    return node ? "" : node.error().to_string();
  };
  const std::string box(kPcieBox);
  EXPECT_THAT(error("", "RTX-4090"), HasSubstr("topo.txt:1:1: no header"));
  EXPECT_THAT(error(replaced(box, "NODE", "NEAR"), "RTX-4090"),
              HasSubstr("topo.txt:2:18: unknown relation 'NEAR'; allowed: X, NV1 and more, PIX"));
  EXPECT_THAT(error(replaced(box, "NODE", "NVX"), "RTX-4090"), HasSubstr("'NVX'"));
  EXPECT_THAT(error(replaced(box, "NODE", "PHB"), "RTX-4090"),
              HasSubstr("GPU3 to GPU0 is NODE, the other way round it is PHB"));
  EXPECT_THAT(error(replaced(box, "GPU2\tPHB\tPHB\t X \tNODE\tPHB\t0-31\t0\n", ""), "RTX-4090"),
              HasSubstr("topo.txt:1:12: GPU2 has a column and no row"));
  EXPECT_THAT(
      error(replaced(box, "NIC0\tPIX\tPIX\tPHB\tNODE\t X \t\t\n", "NIC0\tPIX\n"), "RTX-4090"),
      HasSubstr("NIC0 has 1 relations; expected 5"));
  EXPECT_THAT(error(replaced(box, "\nGPU2\tPHB\tPHB\t X ", "\nGPU2\tPHB\tPHB\tPHB"), "RTX-4090"),
              HasSubstr("X is a device's relation to itself alone"));
  // NVLinks of another GPU than --gpu says: 6 of them where a P100 has 4.
  EXPECT_THAT(error(std::string(kDgx1V), "P100-SXM2-16GB"),
              HasSubstr("a GPU of this row has 6 NVLinks; allowed: 4, those of P100-SXM2-16GB"));
  // GPU0 and GPU2 share a switch with GPU1 and cannot be a host bridge apart.
  std::string torn = replaced(box, "GPU1\tPIX\t X \tPHB", "GPU1\tPIX\t X \tPIX");
  torn = replaced(torn, "GPU2\tPHB\tPHB", "GPU2\tPHB\tPIX");
  EXPECT_THAT(error(torn, "RTX-4090"), HasSubstr("but others put them below one PCIe switch"));
}

// Every byte of a sample changed in turn: a node or an error, nothing else.
TEST(TopoMatrix, DamageNeverCrashes) {
  const LinkFigures figures = figures_of("RTX-4090");
  for (size_t at = 0; at < kPcieBox.size(); ++at) {
    for (const char c : {'\0', '\n', '\x1b', 'G', '9'}) {
      std::string text(kPcieBox);
      text[at] = c;
      (void)node_from_topo_matrix(text, "topo.txt", figures);
    }
    (void)node_from_topo_matrix(kPcieBox.substr(0, at), "topo.txt", figures);
  }
}

}  // namespace
}  // namespace soapbox::runner
