// The profiles under scenarios/profiles/collectives against the clusters that they are for, and
// against figures that no fit has seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "calib/fits/collective_samples.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/collective_profile_file.h"
#include "sim/collective/collective.h"

namespace soapbox::runner {
namespace {

const ScenarioFolder kShipped(std::string(SOAPBOX_SOURCE_DIR) + "/scenarios");

// What the samples were measured on is what the clusters of that name are: constants that were
// fitted on the one hold on the other.
TEST(ShippedCollectives, SamplesAndClustersHaveTheSameLinks) {
  const auto samples =
      calib::read_collective_samples(kShipped.root() + "/profiles/collectives/samples", "A100-SXM");
  ASSERT_TRUE(samples) << samples.error().to_string();
  int compared = 0;
  for (const calib::CollectiveSystem& system : samples->systems) {
    const std::vector<std::string> names = kShipped.names(kClusterFiles);
    if (std::find(names.begin(), names.end(), system.fabric_name) == names.end()) continue;
    const auto devices = static_cast<size_t>(2 * system.fabric.devices_per_node);
    const auto cluster = load_cluster(kShipped, system.fabric_name, devices);
    ASSERT_TRUE(cluster) << cluster.error().to_string();
    const Fabric fabric = survey_fabric(*cluster);
    EXPECT_EQ(fabric.devices_per_node, system.fabric.devices_per_node);
    EXPECT_NEAR(fabric.near_latency, system.fabric.near_latency, 1e-12) << system.fabric_name;
    EXPECT_NEAR(fabric.far_latency[1], system.fabric.far_latency[1], 1e-12) << system.fabric_name;
    for (size_t m = 2; m < fabric.near_ring.size(); ++m) {
      EXPECT_NEAR(fabric.near_ring[m], system.fabric.near_ring[m], 1) << system.fabric_name << m;
    }
    EXPECT_NEAR(fabric.far_bandwidth[1], system.fabric.far_bandwidth[1], 1) << system.fabric_name;
    EXPECT_NEAR(fabric.far_bandwidth.back(), system.fabric.far_bandwidth.back(), 1)
        << system.fabric_name;
    ++compared;
  }
  EXPECT_GE(compared, 5);
}

TEST(ShippedCollectives, EveryDgxHasOne) {
  for (const char* name : {"dgx_v100", "dgx_a100", "dgx_a100_80g", "dgx_h100", "dgx_h200",
                           "dgx_b200", "gb200_nvl72", "env_a", "env_b", "p100_4x4"}) {
    const auto cluster = load_cluster(kShipped, name, std::nullopt);
    ASSERT_TRUE(cluster) << cluster.error().to_string();
    const auto costs = load_group_costs(kShipped, *cluster);
    ASSERT_TRUE(costs) << costs.error().to_string();
    const CollectiveTime time = costs->time(CollectiveOp::kAllReduce, gibibytes(1),
                                            {.ranks_per_node = costs->fabric().devices_per_node});
    const bool calibrated = name != std::string("env_b") && name != std::string("p100_4x4");
    EXPECT_EQ(time.provenance, calibrated ? Provenance::kInterpolated : Provenance::kDatasheet)
        << name;
  }
}

// Published figures that no fit has seen (samples/H100-SXM.csv, split test): 96 H100 over
// InfiniBand reach 386.56 GB/s of bus bandwidth at 8 GiB.
TEST(ShippedCollectives, PredictTwelveNodesOfH100) {
  const auto cluster = load_cluster(kShipped, "dgx_h100", 96);
  ASSERT_TRUE(cluster) << cluster.error().to_string();
  const auto costs = load_group_costs(kShipped, *cluster);
  ASSERT_TRUE(costs) << costs.error().to_string();
  const Bytes size(int64_t{8} << 30);
  const CollectiveTime time =
      costs->time(CollectiveOp::kAllReduce, size, {.ranks_per_node = 8, .nodes = 12});
  const double bus = size.as_double() / time.time.seconds() * 2 * 95 / 96 / 1e9;
  EXPECT_NEAR(bus / 386.56, 1, 0.03);
  EXPECT_LT(time.relative_low, 1 / 1.03);
}

}  // namespace
}  // namespace soapbox::runner
