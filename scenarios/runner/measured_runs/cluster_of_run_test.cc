#include "scenarios/runner/measured_runs/cluster_of_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "scenarios/runner/scenario_files/cluster_file.h"

namespace soapbox::runner {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

const ScenarioFolder& scenarios() {
  static const ScenarioFolder folder(std::string(SOAPBOX_SOURCE_DIR) + "/scenarios");
  return folder;
}

const HardwareCatalogue& catalogue() {
  static const HardwareCatalogue devices =
      std::move(*HardwareCatalogue::read(scenarios().hardware_catalogue()));
  return devices;
}

MeasuredRun on(std::string gpu, int64_t gpus, int64_t per_node, std::string network = "") {
  MeasuredRun run;
  run.id = "X-1";
  run.gpu = std::move(gpu);
  run.num_gpus = gpus;
  run.gpus_per_node = per_node;
  run.inter_node_link = std::move(network);
  return run;
}

ClusterDescription described(const MeasuredRun& run) {
  Assumptions assumptions;
  const Result<ClusterDescription> cluster =
      cluster_of_run(run, scenarios(), catalogue(), assumptions);
  EXPECT_TRUE(cluster) << cluster.error().to_string();
  return *cluster;
}

TEST(ClusterOfRun, AdaptersAreReadAsTablesWriteThem) {
  const auto read = [](std::string_view text) {
    const std::optional<NodeAdapters> adapters = parse_adapters(text);
    if (!adapters) return std::string("nothing");
    constexpr std::array<std::string_view, 3> kRates = {"", " together", " per GPU"};
    return str_cat(adapters->count ? str_cat(*adapters->count) : "?", "x", adapters->gbit_s,
                   kRates[static_cast<size_t>(adapters->rate)]);
  };
  EXPECT_EQ(read("IB NDR 8x400Gb/s (DGX reference)"), "8x400");
  EXPECT_EQ(read("4x200 Gb/s IB HDR per node"), "4x200");
  EXPECT_EQ(read("GCP A3 Mega 8x200 Gb/s TCPXO"), "8x200");
  EXPECT_EQ(read("RoCE 1600Gb/s per node"), "?x1600 together");
  EXPECT_EQ(read("400Gb/s per GPU (CX-7)"), "?x400 per GPU");
  EXPECT_EQ(read("EFA 3200 Gbps per node"), "?x3200 together");
  EXPECT_EQ(read("3.2 Tbps per node"), "?x3200 together");
  EXPECT_EQ(read("50 GB/s InfiniBand"), "1x400");
  EXPECT_EQ(read("100GbE"), "1x100");
  EXPECT_EQ(read("InfiniBand NDR"), "?x400");
  EXPECT_EQ(read("8x HDR"), "?x200");
  EXPECT_EQ(read("100 Gb/s CX-5 single port (RDMA)"), "1x100");
  EXPECT_EQ(read("10 Gb/s Ethernet"), "1x10");
  EXPECT_EQ(read("RoCE RDMA (rate not stated)"), "nothing");
  EXPECT_EQ(read(""), "nothing");
  EXPECT_EQ(read("Gb/s"), "nothing");
}

TEST(ClusterOfRun, NodesAreTheShippedOnesOfTheGpu) {
  const ClusterDescription cluster =
      described(on("H100-SXM", 2304, 8, "IB NDR 8x400Gb/s (DGX reference)"));
  EXPECT_EQ(cluster.nodes.front().count, 288U);
  EXPECT_EQ(cluster.nodes.front().hardware.name, "H100-SXM5-80GB");
  EXPECT_EQ(cluster.fabric->bandwidth, gb_per_s(48.5));
  const Result<Cluster> made = make_cluster(cluster, 2304);
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(made->device_count(), 2304U);
}

TEST(ClusterOfRun, MemoryTellsGpusOfOneNameApart) {
  MeasuredRun run = on("A100-SXM", 8, 8);
  run.gpu_mem_gb = 40;
  EXPECT_EQ(described(run).nodes.front().hardware.name, "A100-SXM4-40GB");
  run.gpu_mem_gb = 80;
  EXPECT_EQ(described(run).nodes.front().hardware.name, "A100-SXM4-80GB");
  run.gpu = "A100_80GB_PCIe";
  EXPECT_EQ(described(run).nodes.front().hardware.name, "A100-PCIe-80GB");
  EXPECT_EQ(described(on("H100_80GB_HBM3", 1, 1)).nodes.front().hardware.name, "H100-SXM5-80GB");
  EXPECT_EQ(described(on("A10", 1, 1)).nodes.front().hardware.name, "A10");
}

// Every size of node that the tables have, on every kind of network, is a cluster.
// As the catalogue writes it, and as tables do.
TEST(ClusterOfRun, WordsOfANameMayBeJoinedOrApart) {
  for (const char* const gpu : {"Quadro-RTX-8000", "Quadro RTX 8000", "RTX 8000"}) {
    EXPECT_EQ(described(on(gpu, 2, 2)).nodes.at(0).hardware.name, "Quadro-RTX-8000") << gpu;
  }
}

TEST(ClusterOfRun, SpellingsOfGpus) {
  struct Case {
    std::string_view gpu;
    std::string_view hardware;
  };
  for (const Case& one :
       {Case{"NVIDIA A100-40G", "A100-SXM4-40GB"}, Case{"A100 80GB PCIe", "A100-PCIe-80GB"},
        Case{"8xH100", "H100-SXM5-80GB"}, Case{"H100 NVL", "H100-NVL-94GB"},
        Case{"H800", "H800-SXM5-80GB"}, Case{"NVIDIA H20", "H20-SXM-96GB"}, Case{"L40S", "L40S"},
        Case{"NVIDIA L4", "L4"}, Case{"A40", "A40"}, Case{"RTX A6000", "RTX-A6000"},
        Case{"GH200 96GB", "H100-SXM5-80GB"}, Case{"V100-PCIe-16GB", "V100-PCIe-16GB"},
        Case{"Tesla V100 32GB", "V100-SXM2-32GB"}, Case{"MI325X", "MI325X"},
        Case{"AMD Instinct MI250X", "MI250-GCD"}, Case{"p4d.24xlarge", "A100-SXM4-40GB"},
        Case{"p5.48xlarge", "H100-SXM5-80GB"}}) {
    EXPECT_EQ(described(on(std::string(one.gpu), 8, 8)).nodes.front().hardware.name, one.hardware)
        << one.gpu;
  }
}

TEST(ClusterOfRun, AStatedMemoryIsTheDevices) {
  MeasuredRun run = on("H100-SXM (HBM2e, 500 W)", 8, 8);
  run.gpu_mem_gb = 96;
  EXPECT_EQ(described(run).nodes.front().hardware.memory, gibibytes(96));
  run.gpu = "B200";  // sold as 180 or 192
  run.gpu_mem_gb = 192;
  EXPECT_EQ(described(run).nodes.front().hardware.memory, gibibytes(180));
}

TEST(ClusterOfRun, EachGpuMayHaveAnAdapter) {
  const ClusterDescription cluster = described(on("H200", 32, 8, "400Gb/s per GPU (CX-7)"));
  EXPECT_EQ(cluster.nodes.front().nics, 8U);
  EXPECT_EQ(cluster.fabric->bandwidth, gb_per_s(48.5));
}

TEST(ClusterOfRun, NodesOfAnySizeHoldTogether) {
  for (const char* gpu : {"V100-SXM2", "A100-SXM", "H100-PCIe", "GB200", "B300-SXM", "RTX 4090"}) {
    for (const int64_t per_node : {1, 2, 3, 4, 8, 16}) {
      for (const char* network : {"", "8x400Gb/s", "4x100Gb/s", "100 Gb/s IB", "3x200 Gb/s"}) {
        const MeasuredRun run = on(gpu, 3 * per_node, per_node, network);
        const ClusterDescription cluster = described(run);
        const Result<Cluster> made = make_cluster(cluster, size_t(3 * per_node));
        EXPECT_TRUE(made) << cluster.name << ": " << made.error().to_string();
      }
    }
  }
}

TEST(ClusterOfRun, AHybridMeshOfOtherSizeBecomesASwitchOfTheSameReach) {
  // Each V100 of a DGX-1 has 6 links of 23.95 GB/s.
  const ClusterDescription cluster = described(on("V100-SXM2", 16, 16));
  bool found = false;
  for (const CableDescription& cable : cluster.nodes.front().cables) {
    if (cable.type != "nvlink") continue;
    EXPECT_EQ(cable.to, "nvswitch0");
    EXPECT_NEAR(cable.bandwidth.rate(), 143.7e9, 1e6);
    found = true;
  }
  EXPECT_TRUE(found);
}

TEST(ClusterOfRun, RacksOfSeventyTwoAreFilledEqually) {
  EXPECT_EQ(described(on("GB200", 256, 4)).nodes.front().gpus, 64U);
  EXPECT_EQ(described(on("GB200", 288, 4)).nodes.front().gpus, 72U);
  EXPECT_EQ(described(on("GB200", 32, 4)).nodes.front().gpus, 32U);
}

TEST(ClusterOfRun, WhatIsAssumedIsSaid) {
  Assumptions assumptions;
  MeasuredRun run = on("V100-SXM3 (DGX-2H)", 32, 16, "RoCE RDMA (rate not stated)");
  ASSERT_TRUE(cluster_of_run(run, scenarios(), catalogue(), assumptions));
  EXPECT_THAT(assumptions.list(), Contains(HasSubstr("gpu=V100-SXM2-32GB: the nearest")));
  EXPECT_THAT(assumptions.list(), Contains(HasSubstr("rate not stated, usual for the GPU")));
}

TEST(ClusterOfRun, AnUnknownGpuAndTooManyAreRefused) {
  Assumptions assumptions;
  const auto unknown = cluster_of_run(on("Gaudi2", 8, 8), scenarios(), catalogue(), assumptions);
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("unknown GPU 'Gaudi2'"));
  const auto many =
      cluster_of_run(on("H100-SXM", 100'000'000, 8), scenarios(), catalogue(), assumptions);
  ASSERT_FALSE(many);
  EXPECT_THAT(many.error().message, HasSubstr("too many"));
}

}  // namespace
}  // namespace soapbox::runner
