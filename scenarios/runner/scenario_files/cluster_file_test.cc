#include "scenarios/runner/scenario_files/cluster_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/rng.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

using ::testing::HasSubstr;

ScenarioFolder scenarios() {
  return ScenarioFolder(std::string(SOAPBOX_SOURCE_DIR) + "/scenarios");
}

HardwareCatalogue catalogue() {
  return *HardwareCatalogue::read(scenarios().hardware_catalogue());
}

Cluster load(const std::string& name, std::optional<size_t> devices = {}) {
  Result<Cluster> cluster = load_cluster(scenarios(), name, devices);
  EXPECT_TRUE(cluster.has_value()) << (cluster ? "" : cluster.error().to_string());
  return std::move(*cluster);
}

std::vector<std::string> path_names(const Cluster& cluster, uint32_t from, uint32_t to) {
  std::vector<std::string> names;
  for (const LinkId link : cluster.route(DeviceId(from), DeviceId(to)).links) {
    names.push_back(cluster.vertices()[cluster.links()[link].to].name);
  }
  return names;
}
using Names = std::vector<std::string>;

TEST(ClusterFile, P100NodesAreNvlinkMeshesBehindOneNic) {
  const Cluster cluster = load("p100_4x4");
  EXPECT_EQ(cluster.name(), "p100_4x4");
  EXPECT_EQ(cluster.device_count(), 16u);
  EXPECT_EQ(cluster.node_count(), 4u);
  EXPECT_EQ(cluster.hardware_of(DeviceId(15)).name, "P100-SXM2-16GB");
  for (uint32_t a = 0; a < 4; ++a) {
    for (uint32_t b = 0; b < 4; ++b) {
      EXPECT_EQ(cluster.route(DeviceId(a), DeviceId(b)).links.size(), a == b ? 0u : 1u);
    }
  }
  EXPECT_EQ(path_names(cluster, 3, 4), (Names{"node0.cpu0", "node0.nic0", "fabric", "node1.nic0",
                                              "node1.cpu0", "node1.gpu0"}));
  EXPECT_EQ(cluster.route(DeviceId(3), DeviceId(4)).bandwidth, gb_per_s(12));
  // Two PCIe and one InfiniBand cable on either side, 0.5 us each.
  EXPECT_EQ(cluster.route(DeviceId(3), DeviceId(4)).latency, microseconds(3));
}

TEST(ClusterFile, K80NodesAreAsymmetric) {
  const Cluster cluster = load("k80_16x4");
  EXPECT_EQ(cluster.device_count(), 64u);
  EXPECT_EQ(path_names(cluster, 0, 1), (Names{"node0.board0", "node0.gpu1"}));
  EXPECT_EQ(path_names(cluster, 1, 2),
            (Names{"node0.board0", "node0.pcie0", "node0.board1", "node0.gpu2"}));
  EXPECT_EQ(cluster.route(DeviceId(0), DeviceId(63)).bandwidth, gb_per_s(6.5));
}

TEST(ClusterFile, EveryShippedClusterLoadsAndEveryDeviceReachesEveryOther) {
  for (const std::string& name : scenarios().names(kClusterFiles)) {
    SCOPED_TRACE(name);
    const Cluster cluster = load(name);
    EXPECT_EQ(cluster.name(), name);
    for (const DeviceId a : cluster.devices().ids()) {
      for (const DeviceId b : cluster.devices().ids()) {
        if (a == b) continue;
        EXPECT_GT(cluster.route(a, b).bandwidth.rate(), 0);
      }
    }
  }
}

TEST(ClusterFile, DevicesAreTheFirstOfTheWholeCluster) {
  for (const char* name : {"p100_4x4", "k80_16x4"}) {
    const Cluster whole = load(name);
    for (const size_t count : std::vector<size_t>{1, 2, 3, 4, 5, 8, 13}) {
      SCOPED_TRACE(str_cat(name, " ", count));
      const Cluster some = load(name, count);
      const Cluster same = *whole.with_devices(count);
      ASSERT_EQ(some.device_count(), count);
      EXPECT_EQ(some.node_count(), (count + 3) / 4);
      EXPECT_EQ(same.node_count(), some.node_count());
      for (uint32_t a = 0; a < count; ++a) {
        for (uint32_t b = 0; b < count; ++b) {
          EXPECT_EQ(path_names(some, a, b), path_names(whole, a, b));
          EXPECT_EQ(path_names(same, a, b), path_names(whole, a, b));
        }
      }
    }
  }
}

TEST(ClusterFile, SixteenThousandGpusAreJoinedByPathsEquallyLongBothWays) {
  for (const char* name : {"dgx_v100", "dgx_b200", "gb200_nvl72", "hgx_h100_4", "p4d"}) {
    SCOPED_TRACE(name);
    const Cluster cluster = load(name, 16384);
    ASSERT_EQ(cluster.device_count(), 16384u);
    Rng rng(7);
    for (int pair = 0; pair < 2000; ++pair) {
      const DeviceId from(rng.below(16384));
      const DeviceId to(rng.below(16384));
      const Route there = cluster.route(from, to);
      const Route back = cluster.route(to, from);
      ASSERT_EQ(there.links.size(), back.links.size());
      ASSERT_EQ(there.bandwidth, back.bandwidth);
      ASSERT_EQ(there.latency, back.latency);
      VertexId here = cluster.device(from).vertex;
      for (const LinkId link : there.links) {
        ASSERT_EQ(cluster.links()[link].from, here);
        here = cluster.links()[link].to;
      }
      ASSERT_EQ(here, cluster.device(to).vertex);
    }
  }
}

TEST(ClusterFile, RailsJoinEqualGpusByOneLeafAndOthersOverTheTop) {
  const Cluster cluster = load("dgx_h100", 8 * 33);  // one node more than a unit
  const auto gpu = [](uint32_t node, uint32_t index) { return node * 8 + index; };
  EXPECT_EQ(path_names(cluster, gpu(0, 0), gpu(0, 5)), (Names{"node0.nvswitch0", "node0.gpu5"}));
  EXPECT_EQ(path_names(cluster, gpu(0, 3), gpu(31, 3)),
            (Names{"node0.pcie3", "node0.nic3", "tier0.switch0.rail3", "node31.nic3",
                   "node31.pcie3", "node31.gpu3"}));
  EXPECT_EQ(path_names(cluster, gpu(0, 3), gpu(1, 6)),
            (Names{"node0.pcie3", "node0.nic3", "tier0.switch0.rail3", "fabric",
                   "tier0.switch0.rail6", "node1.nic6", "node1.pcie6", "node1.gpu6"}));
  EXPECT_EQ(path_names(cluster, gpu(0, 3), gpu(32, 3)),
            (Names{"node0.pcie3", "node0.nic3", "tier0.switch0.rail3", "fabric",
                   "tier0.switch1.rail3", "node32.nic3", "node32.pcie3", "node32.gpu3"}));
}

TEST(ClusterFile, LeafCarriesUpwardWhatItGetsDividedByTheOversubscription) {
  for (const auto& [name, oversubscription] :
       {std::pair("dgx_h100", 1.0), std::pair("dgx_h100_over2", 2.0),
        std::pair("dgx_h100_over4", 4.0)}) {
    const Cluster cluster = load(name, 8 * 40);
    double upward = 0;
    for (const Link& link : cluster.links()) {
      if (cluster.vertices()[link.from].name == "tier0.switch0.rail0" &&
          cluster.vertices()[link.to].name == "fabric") {
        upward = link.bandwidth.rate();
      }
    }
    // 32 NICs of 48.5 GB/s on each leaf.
    EXPECT_DOUBLE_EQ(upward, 32 * 48.5e9 / oversubscription) << name;
  }
}

TEST(ClusterFile, CubeMeshOfDgx1GoesByNvlinkOrOverPcie) {
  const Cluster cluster = load("dgx_v100");
  EXPECT_EQ(cluster.route(DeviceId(0), DeviceId(3)).bandwidth.rate(), 2 * 23.95e9);  // two lanes
  EXPECT_EQ(cluster.route(DeviceId(0), DeviceId(1)).bandwidth.rate(), 23.95e9);
  EXPECT_EQ(path_names(cluster, 0, 5),
            (Names{"node0.pcie0", "node0.cpu0", "node0.cpu1", "node0.pcie2", "node0.gpu5"}));
}

constexpr const char* kSmall = R"(summary = "test"
source = "none"
[[node]]
count = 2
count_max = 6
gpus = 4
gpu = "P100-SXM2-16GB"
nics = 2
switches = { pcie = 2 }
[[node.link]]
from = "gpu*"
to = "pcie*"
type = "pcie"
bandwidth = "10 GB/s"
latency = "1 us"
source = "none"
[[node.link]]
from = "nic*"
to = "pcie*"
type = "pcie"
bandwidth = "10 GB/s"
latency = "1 us"
source = "none"
[[node.link]]
from = "pcie*"
to = "cpu0"
type = "pcie"
bandwidth = "10 GB/s"
latency = "1 us"
source = "none"
[fabric]
type = "infiniband"
bandwidth = "5 GB/s"
latency = "2 us"
source = "none"
)";

Result<Cluster> parse(const std::string& text, std::optional<size_t> devices = {}) {
  const Result<ClusterDescription> description = parse_cluster(text, "small.toml", catalogue());
  if (!description) return description.error();
  return make_cluster(*description, devices);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t found = text.find(from);
  EXPECT_NE(found, std::string::npos) << from;
  return text.replace(found, from.size(), to);
}

TEST(ClusterFile, TiersOfGroupsShareSwitches) {
  const std::string text = std::string(kSmall) +
                           "rails = 2\n"
                           "[[fabric.tier]]\nnodes = 2\noversubscription = 2\nlatency = \"1 us\"\n"
                           "[[fabric.tier]]\nnodes = 4\noversubscription = 4\nlatency = \"1 us\"\n";
  const Cluster cluster = *parse(text, 24);
  EXPECT_EQ(path_names(cluster, 0, 8),  // node 0 to node 2: another leaf, the same tier 1 switch
            (Names{"node0.pcie0", "node0.nic0", "tier0.switch0.rail0", "tier1.switch0",
                   "tier0.switch1.rail0", "node2.nic0", "node2.pcie0", "node2.gpu0"}));
  EXPECT_EQ(
      path_names(cluster, 2, 20),  // node 0 to node 5, rail 1 to rail 0: over the top
      (Names{"node0.pcie1", "node0.nic1", "tier0.switch0.rail1", "tier1.switch0", "fabric",
             "tier1.switch1", "tier0.switch2.rail0", "node5.nic0", "node5.pcie0", "node5.gpu0"}));
  // A leaf: 2 nodes x 5 GB/s / 2 = 5 up. Tier 1: 2 groups x 2 rails x 5 / 4 = 5 up.
  for (const Link& link : cluster.links()) {
    const std::string& from = cluster.vertices()[link.from].name;
    const std::string& to = cluster.vertices()[link.to].name;
    if (from == "tier0.switch0.rail0" && to == "tier1.switch0") {
      EXPECT_EQ(link.bandwidth, gb_per_s(5));
    }
    if (from == "tier1.switch0" && to == "fabric") {
      EXPECT_EQ(link.bandwidth, gb_per_s(5));
    }
  }
}

TEST(ClusterFile, OverridesSlowDevicesAndCables) {
  const std::string text = std::string(kSmall) +
                           "[[override]]\ndevices = \"node1.gpu[2-3]\"\nspeed_factor = 0.5\n"
                           "[[override]]\nfrom = \"node0.nic0\"\nto = \"fabric\"\n"
                           "bandwidth_factor = 0.1\nadded_latency = \"7 us\"\n";
  const Cluster cluster = *parse(text);
  EXPECT_EQ(cluster.device(DeviceId(5)).speed_factor, 1.0);
  EXPECT_EQ(cluster.device(DeviceId(6)).speed_factor, 0.5);
  EXPECT_EQ(cluster.device(DeviceId(7)).speed_factor, 0.5);
  EXPECT_EQ(cluster.route(DeviceId(0), DeviceId(4)).bandwidth.rate(), 0.5e9);
  EXPECT_EQ(cluster.route(DeviceId(4), DeviceId(0)).bandwidth.rate(), 0.5e9);  // both directions
  // gpu, nic: 2 x 1 us; cables 2 + 7 and 2 us; nic, gpu: 2 x 1 us.
  EXPECT_EQ(cluster.route(DeviceId(0), DeviceId(4)).latency, microseconds(15));
  EXPECT_EQ(cluster.route(DeviceId(2), DeviceId(6)).bandwidth.rate(), 5e9);
  // With one node the override of the other is not a mistake.
  EXPECT_TRUE(parse(text, 4).has_value());
}

TEST(ClusterFile, ShippedExamplesOfFaultsAndOfUnequalNodes) {
  const Cluster degraded = load("dgx_h100_degraded");
  const auto gpu = [](uint32_t node, uint32_t index) { return DeviceId(node * 8 + index); };
  EXPECT_EQ(degraded.device(gpu(1, 5)).speed_factor, 0.85);
  EXPECT_EQ(degraded.device(gpu(1, 4)).speed_factor, 1.0);
  EXPECT_EQ(degraded.route(gpu(0, 3), gpu(2, 3)).bandwidth, gb_per_s(48.5 / 2));
  EXPECT_EQ(degraded.route(gpu(0, 2), gpu(2, 2)).bandwidth, gb_per_s(48.5));
  EXPECT_NEAR(degraded.route(gpu(3, 0), gpu(3, 1)).bandwidth.rate(), 396.4e9 * 0.944,
              1);  // 17 of 18 links
  const Cluster mixed = load("dgx_mixed");
  EXPECT_EQ(mixed.hardware_of(DeviceId(15)).name, "A100-SXM4-40GB");
  EXPECT_EQ(mixed.hardware_of(DeviceId(16)).name, "V100-SXM2-32GB");
  EXPECT_NEAR(mixed.route(DeviceId(0), DeviceId(8)).bandwidth.rate(), 23.5e9, 1);
  EXPECT_NEAR(mixed.route(DeviceId(0), DeviceId(16)).bandwidth.rate(), 12.0e9, 1e7);
}

TEST(ClusterFile, NodesOfSeveralKindsFollowOneAnother) {
  std::string second = kSmall;
  second =
      second.substr(second.find("[[node]]"), second.find("[fabric]") - second.find("[[node]]"));
  second = replaced(second, "P100-SXM2-16GB", "V100-SXM2-32GB");
  std::string text = replaced(kSmall, "count_max = 6\n", "");
  text.insert(text.find("[fabric]"), second);
  const Cluster cluster = *parse(text, 14);
  EXPECT_EQ(cluster.node_count(), 4u);
  EXPECT_EQ(cluster.hardware().size(), 2u);
  EXPECT_EQ(cluster.hardware_of(DeviceId(7)).name, "P100-SXM2-16GB");
  EXPECT_EQ(cluster.hardware_of(DeviceId(8)).name, "V100-SXM2-32GB");
  EXPECT_EQ(parse(text)->device_count(), 4u * 2 + 4u * 2);
}

struct BadEdit {
  const char* from;
  const char* to;
  const char* error;
};

TEST(ClusterFile, MistakesAreRefusedWithTheirPosition) {
  const BadEdit cases[] = {
      {"bandwidth = \"10 GB/s\"", "bandwith = \"10 GB/s\"",
       "small.toml:14:1: unknown key 'bandwith' in [[link]]; did you mean 'bandwidth'?"},
      {"bandwidth = \"10 GB/s\"", "bandwidth = \"-10 GB/s\"", "small.toml:14:13: 'bandwidth': "},
      {"bandwidth = \"10 GB/s\"", "bandwidth = 10", "it must be a bandwidth with its unit"},
      {"count = 2", "count = 0", "small.toml:4:9: 'count' is 0; it must be an integer from 1"},
      {"count_max = 6", "count_max = 1", "'count_max' is less than 'count'"},
      {"gpus = 4", "gpus = -4", "'gpus' is -4"},
      {"P100-SXM2-16GB", "P100-SXM", "small.toml:7:7: unknown hardware 'P100-SXM'"},
      {"to = \"pcie*\"", "to = \"plx*\"", "small.toml:10:1: no part of the node is named 'plx*'"},
      {"from = \"gpu*\"", "from = \"gpu[0-2]\"", "are 3 and 'pcie*' are 2"},
      {"from = \"gpu*\"", "mesh = \"gpu*\"", "says what it joins in one way"},
      {"switches = { pcie = 2 }", "switches = { gpu = 2 }", "'gpu' cannot name a switch"},
      {"nics = 2", "nics = 0", "a fabric joins NICs, and a node has none"},
      {"[fabric]", "[fabric]\nrails = 2", "add a [[fabric.tier]]"},
      {"[fabric]", "[fabric]\nrails = 3", "must be a multiple of it"},
      {"[fabric]", "[fabrics]", "unknown key 'fabrics' in the file; did you mean 'fabric'?"},
      {"summary = \"test\"\n", "", "missing key 'summary' in the file"},
      {"type = \"infiniband\"\n", "", "missing key 'type' in [fabric]"},
  };
  for (const BadEdit& bad : cases) {
    const Result<Cluster> cluster = parse(replaced(kSmall, bad.from, bad.to));
    ASSERT_FALSE(cluster.has_value()) << bad.to;
    EXPECT_THAT(cluster.error().to_string(), HasSubstr(bad.error));
  }
}

TEST(ClusterFile, OverrideOfNothingIsRefused) {
  const std::string text = kSmall;
  EXPECT_THAT(parse(text + "[[override]]\ndevices = \"node9.gpu0\"\nspeed_factor = 0.5\n")
                  .error()
                  .to_string(),
              HasSubstr("no device is named 'node9.gpu0'"));
  EXPECT_THAT(parse(text + "[[override]]\nfrom = \"node0.nic0\"\nto = \"node1.nic0\"\n")
                  .error()
                  .to_string(),
              HasSubstr("no cable joins 'node0.nic0' and 'node1.nic0'"));
  EXPECT_THAT(parse(text + "[[override]]\nspeed_factor = 0.5\n").error().to_string(),
              HasSubstr("small.toml:"));
}

TEST(ClusterFile, TooManyDevicesSayHowManyThereAre) {
  EXPECT_THAT(parse(kSmall, 25).error().message, HasSubstr("has no 25 devices; allowed: 1 to 24"));
  EXPECT_THAT(parse(kSmall, 0).error().message, HasSubstr("has no 0 devices"));
  EXPECT_EQ(parse(kSmall, 24)->device_count(), 24u);
  EXPECT_EQ(parse(kSmall)->device_count(), 8u);
}

TEST(ClusterFile, UnknownNameAndUnreadableFileAreOneLine) {
  EXPECT_THAT(load_cluster(scenarios(), "p100", {}).error().message,
              HasSubstr("unknown cluster 'p100'"));
  EXPECT_EQ(load_cluster(scenarios(), "/none/x.toml", {}).error().to_string(),
            "/none/x.toml: there is no such file");
}

// Bytes of the shipped files are changed, removed and doubled at random: reading gives a cluster or
// an error in this file, and nothing else.
TEST(ClusterFile, DamagedFilesNeverCrash) {
  const HardwareCatalogue devices = catalogue();
  int refused = 0;
  for (const char* name : {"p100_4x4", "k80_16x4", "dgx_v100", "env_b"}) {
    const std::string path = *scenarios().path(kClusterFiles, name);
    const std::string text = *read_text_file(path);
    for (uint64_t seed = 0; seed < 150; ++seed) {
      SCOPED_TRACE(str_cat(name, " seed ", seed));
      Rng rng(seed);
      std::string damaged = text;
      const uint32_t edits = 1 + rng.below(4);
      for (uint32_t edit = 0; edit < edits; ++edit) {
        const size_t at = rng.below(static_cast<uint32_t>(damaged.size()));
        const size_t length = 1 + rng.below(12);
        switch (rng.below(4)) {
          case 0:
            damaged[at] = static_cast<char>(rng.below(256));
            break;
          case 1:
            damaged.erase(at, length);
            break;
          case 2:
            damaged.insert(at, damaged.substr(at, length));
            break;
          default:
            damaged[at] = "0123456789\"[]{}=.-,\n"[rng.below(20)];
        }
      }
      const Result<ClusterDescription> description = parse_cluster(damaged, path, devices);
      const bool huge = description && description->device_count() > 2000;
      if (huge) continue;
      const Result<Cluster> cluster =
          description ? make_cluster(*description, {}) : Result<Cluster>(description.error());
      if (cluster) continue;
      ++refused;
      EXPECT_FALSE(cluster.error().message.empty());
      EXPECT_EQ(cluster.error().message.find('\n'), std::string::npos) << cluster.error().message;
    }
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace soapbox::runner
