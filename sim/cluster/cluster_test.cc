#include "sim/cluster/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "sim/base/str.h"

namespace soapbox {
namespace {

using ::testing::HasSubstr;

void join_both_ways(Topology& parts, VertexId a, VertexId b, double rate_gb_per_s,
                    const char* type) {
  parts.links.push_back({a, b, gb_per_s(rate_gb_per_s), microseconds(1), type});
  parts.links.push_back({b, a, gb_per_s(rate_gb_per_s), microseconds(1), type});
}

// FlexFlow's K80 node: boards of two GPUs behind a switch of their own, both boards and the host
// behind a shared one; one NIC per node; all NICs on one switch.
Topology k80_nodes(size_t nodes) {
  Topology parts;
  parts.name = "k80";
  parts.node_count = nodes;
  parts.hardware.push_back(Hardware{.name = "K80"});
  std::vector<VertexId> nics;
  for (size_t n = 0; n < nodes; ++n) {
    const NodeId node = NodeId::from_index(n);
    const auto add = [&](const std::string& name, VertexKind kind) {
      return parts.vertices.push_back({str_cat("node", n, ".", name), kind, node});
    };
    std::vector<VertexId> gpus;
    for (size_t d = 0; d < 4; ++d) {
      gpus.push_back(add(str_cat("gpu", d), VertexKind::kDevice));
      parts.devices.push_back({gpus.back(), node, HardwareId(0), 1.0});
    }
    const VertexId boards[2] = {add("board0", VertexKind::kSwitch),
                                add("board1", VertexKind::kSwitch)};
    const VertexId shared = add("pcie0", VertexKind::kSwitch);
    const VertexId host = add("cpu0", VertexKind::kHost);
    nics.push_back(add("nic0", VertexKind::kNic));
    for (size_t d = 0; d < 4; ++d) join_both_ways(parts, gpus[d], boards[d / 2], 10, "pcie");
    for (const VertexId board : boards) join_both_ways(parts, board, shared, 10, "pcie");
    join_both_ways(parts, shared, host, 10, "pcie");
    join_both_ways(parts, host, nics.back(), 10, "pcie");
  }
  const VertexId fabric = parts.vertices.push_back({"switch", VertexKind::kSwitch, NodeId()});
  for (const VertexId nic : nics) join_both_ways(parts, nic, fabric, 7, "infiniband");
  return parts;
}

std::vector<std::string> path_names(const Cluster& cluster, uint32_t from, uint32_t to) {
  std::vector<std::string> names;
  for (const LinkId link : cluster.route(DeviceId(from), DeviceId(to)).links) {
    names.push_back(cluster.vertices()[cluster.links()[link].to].name);
  }
  return names;
}

TEST(Cluster, AdjacentK80sMeetAtTheirBoardAndOthersAtTheSharedSwitch) {
  const Cluster cluster = *Cluster::make(k80_nodes(2));
  EXPECT_EQ(path_names(cluster, 0, 1), (std::vector<std::string>{"node0.board0", "node0.gpu1"}));
  EXPECT_EQ(path_names(cluster, 1, 2), (std::vector<std::string>{"node0.board0", "node0.pcie0",
                                                                 "node0.board1", "node0.gpu2"}));
  // Pairs (0,1) and (2,3) share no link; pairs (0,2) and (1,3) share the boards' uplinks.
  const auto shared_links = [&](uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    int count = 0;
    for (const LinkId x : cluster.route(DeviceId(a), DeviceId(b)).links) {
      for (const LinkId y : cluster.route(DeviceId(c), DeviceId(d)).links) count += x == y ? 1 : 0;
    }
    return count;
  };
  EXPECT_EQ(shared_links(0, 1, 2, 3), 0);
  EXPECT_EQ(shared_links(0, 2, 1, 3), 2);
}

TEST(Cluster, RouteBetweenNodesIsBoundByTheNetworkAndSumsLatencies) {
  const Cluster cluster = *Cluster::make(k80_nodes(2));
  // gpu3 - board1 - pcie0 - cpu0 - nic0 - switch - nic0 - cpu0 - pcie0 - board0 - gpu0: 10 links of
  // 1 us.
  const Route route = cluster.route(DeviceId(3), DeviceId(4));
  EXPECT_EQ(route.links.size(), 10u);
  EXPECT_EQ(route.latency, microseconds(10));
  EXPECT_EQ(route.bandwidth, gb_per_s(7));
  EXPECT_EQ(cluster.links()[route.bottleneck].type, "infiniband");
  EXPECT_EQ(cluster.vertices()[cluster.links()[route.bottleneck].from].name, "node0.nic0");
}

TEST(Cluster, WithDevicesFillsNodesInOrder) {
  const Cluster cluster = *Cluster::make(k80_nodes(4));
  const Cluster six = *cluster.with_devices(6);
  EXPECT_EQ(six.device_count(), 6u);
  EXPECT_EQ(six.node_count(), 2u);
  EXPECT_EQ(six.device_name(DeviceId(5)), "node1.gpu1");
  EXPECT_EQ(six.device(DeviceId(5)).node, NodeId(1));
  EXPECT_EQ(path_names(six, 3, 5), path_names(cluster, 3, 5));
  // Node 1 keeps its switches, host and NIC; nodes 2 and 3 are gone: 2 x 5 + 6 devices + the
  // switch.
  EXPECT_EQ(six.vertices().size(), 2u * 5 + 6 + 1);
}

TEST(Cluster, WithDevicesOfOneNodeDropsTheNetwork) {
  const Cluster two = *Cluster::make(k80_nodes(2))->with_devices(2);
  for (const Vertex& vertex : two.vertices()) EXPECT_EQ(vertex.node, NodeId(0)) << vertex.name;
  EXPECT_EQ(path_names(two, 0, 1), (std::vector<std::string>{"node0.board0", "node0.gpu1"}));
}

TEST(Cluster, WithDevicesRefusesNoneAndTooMany) {
  const Cluster cluster = *Cluster::make(k80_nodes(2));
  EXPECT_THAT(cluster.with_devices(0).error().message, HasSubstr("allowed: 1 to 8"));
  EXPECT_THAT(cluster.with_devices(9).error().message, HasSubstr("has no 9 devices"));
  EXPECT_EQ(cluster.with_devices(8)->device_count(), 8u);
}

struct BadParts {
  const char* what;
  void (*spoil)(Topology&);
  const char* message;
};

TEST(Cluster, RefusesBadPartsAndNamesTheOffender) {
  const BadParts cases[] = {
      {"negative bandwidth", [](Topology& p) { p.links[LinkId(0)].bandwidth = gb_per_s(-1); },
       "link node0.gpu0 to node0.board0 has bandwidth -1e+09"},
      {"no bandwidth", [](Topology& p) { p.links[LinkId(0)].bandwidth = gb_per_s(0); },
       "allowed: 1 MB/s"},
      {"bandwidth is not a number",
       [](Topology& p) {
         p.links[LinkId(0)].bandwidth = BytesPerSecond(std::numeric_limits<double>::quiet_NaN());
       },
       "has bandwidth nan"},
      {"negative latency", [](Topology& p) { p.links[LinkId(1)].latency = microseconds(-1); },
       "link node0.board0 to node0.gpu0 has latency -1e-06 s"},
      {"absurd latency", [](Topology& p) { p.links[LinkId(1)].latency = milliseconds(2'000'000); },
       "allowed: 0 to 1000 s"},
      {"link to itself", [](Topology& p) { p.links[LinkId(0)].to = VertexId(0); },
       "leads back to where it starts"},
      {"link to nowhere", [](Topology& p) { p.links[LinkId(0)].to = VertexId(999); },
       "link 0 joins a vertex that does not exist"},
      {"equal names", [](Topology& p) { p.vertices[VertexId(1)].name = "node0.gpu0"; },
       "two vertices are named 'node0.gpu0'"},
      {"no name", [](Topology& p) { p.vertices[VertexId(1)].name = ""; }, "has no name"},
      {"no devices", [](Topology& p) { p.devices.clear(); }, "no devices"},
      {"device listed twice", [](Topology& p) { p.devices[DeviceId(1)].vertex = VertexId(0); },
       "two devices are at 'node0.gpu0'"},
      {"device at a switch", [](Topology& p) { p.devices[DeviceId(1)].vertex = VertexId(4); },
       "'node0.board0'"},
      {"device in another node", [](Topology& p) { p.devices[DeviceId(3)].node = NodeId(1); },
       "'node0.gpu3' is not in the node"},
      {"unknown hardware", [](Topology& p) { p.devices[DeviceId(2)].hardware = HardwareId(7); },
       "'node0.gpu2' is of no known hardware"},
      {"speed factor of zero", [](Topology& p) { p.devices[DeviceId(2)].speed_factor = 0; },
       "'node0.gpu2' has speed factor 0"},
      {"node out of range", [](Topology& p) { p.node_count = 1; }, "allowed: 0 to 0"},
      {"a device that is not listed",
       [](Topology& p) {
         p.vertices.push_back({"odd", VertexKind::kDevice, NodeId(0)});
       },
       "'odd' is not listed"},
  };
  for (const BadParts& bad : cases) {
    SCOPED_TRACE(bad.what);
    Topology parts = k80_nodes(2);
    bad.spoil(parts);
    const Result<Cluster> cluster = Cluster::make(parts);
    ASSERT_FALSE(cluster.has_value());
    EXPECT_THAT(cluster.error().message, HasSubstr(bad.message));
    EXPECT_EQ(cluster.error().code, ErrorCode::kBadInput);
  }
}

TEST(Cluster, RefusesADeviceThatNothingReaches) {
  Topology parts = k80_nodes(2);
  Topology cut = parts;
  cut.links.clear();
  for (const Link& link : parts.links) {
    if (parts.vertices[link.from].name != "node1.gpu2") cut.links.push_back(link);
  }
  const Result<Cluster> cluster = Cluster::make(cut);
  ASSERT_FALSE(cluster.has_value());
  EXPECT_THAT(cluster.error().message, HasSubstr("no links lead from node1.gpu2 to node0.gpu0"));
}

}  // namespace
}  // namespace soapbox
