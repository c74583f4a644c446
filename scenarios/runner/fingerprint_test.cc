#include "scenarios/runner/fingerprint.h"

#include <gtest/gtest.h>

#include <set>

#include "scenarios/runner/test_problem.h"

namespace soapbox::runner {
namespace {

TEST(Fingerprint, EqualInputsHaveEqualOnes) {
  EXPECT_EQ(load_for_test(lenet_on_four())->fingerprint(),
            load_for_test(lenet_on_four())->fingerprint());
}

TEST(Fingerprint, EveryPartOfAProblemChangesIt) {
  std::set<std::string> seen = {load_for_test(lenet_on_four())->fingerprint()};
  ProblemSpec spec = lenet_on_four();
  spec.devices = 8;
  EXPECT_TRUE(seen.insert(load_for_test(spec)->fingerprint()).second) << "devices";
  spec = lenet_on_four();
  spec.batch = 128;
  EXPECT_TRUE(seen.insert(load_for_test(spec)->fingerprint()).second) << "batch";
  spec = lenet_on_four();
  spec.cluster = "k80_16x4";
  EXPECT_TRUE(seen.insert(load_for_test(spec)->fingerprint()).second) << "cluster";
  spec = lenet_on_four();
  spec.model = "alexnet";
  EXPECT_TRUE(seen.insert(load_for_test(spec)->fingerprint()).second) << "model";
}

Cluster::Parts parts_of(const Cluster& cluster) {
  Cluster::Parts parts;
  parts.name = cluster.name();
  parts.hardware = cluster.hardware();
  parts.vertices = cluster.vertices();
  parts.links = cluster.links();
  parts.devices = cluster.devices();
  parts.node_count = cluster.node_count();
  return parts;
}

TEST(Fingerprint, OneFigureOfOneLinkOrDeviceChangesIt) {
  const auto loaded = load_for_test(lenet_on_four());
  const auto with = [&](const Cluster::Parts& parts) {
    const Result<Cluster> cluster = Cluster::make(parts);
    SOAPBOX_CHECK(cluster.has_value(), "still a cluster");
    return fingerprint({loaded->model(), *cluster, loaded->costs(), loaded->problem().options});
  };
  EXPECT_EQ(with(parts_of(loaded->cluster())), loaded->fingerprint());
  Cluster::Parts slower = parts_of(loaded->cluster());
  Link& link = slower.links[LinkId(0)];
  link.bandwidth = BytesPerSecond(link.bandwidth.rate() - 1);
  EXPECT_NE(with(slower), loaded->fingerprint());
  Cluster::Parts later = parts_of(loaded->cluster());
  later.links[LinkId(0)].latency += picoseconds(1);
  EXPECT_NE(with(later), loaded->fingerprint());
  Cluster::Parts straggler = parts_of(loaded->cluster());
  straggler.devices[DeviceId(3)].speed_factor = 0.9;
  EXPECT_NE(with(straggler), loaded->fingerprint());
}

}  // namespace
}  // namespace soapbox::runner
