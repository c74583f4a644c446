#include "calib/fits/collective_fit.h"

#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox::calib {
namespace {

const std::string kCollectives =
    std::string(SOAPBOX_SOURCE_DIR) + "/scenarios/profiles/collectives";

TEST(CollectiveFit, RegeneratesTheShippedProfilesByteForByte) {
  std::optional<CollectiveProfile> network;
  for (const FittedLibrary& library : fitted_libraries()) {
    const auto samples =
        read_collective_samples(kCollectives + "/samples", std::string(library.name));
    ASSERT_TRUE(samples) << samples.error().to_string();
    const CollectiveFit fit = fit_collectives(*samples, library, network ? &*network : nullptr);
    if (!network) network = fit.profile;
    std::ifstream file(str_cat(kCollectives, "/", library.name, ".toml"));
    std::ostringstream shipped;
    shipped << file.rdbuf();
    EXPECT_EQ(to_toml(fit, library), shipped.str())
        << "run soapbox_fit_collectives (scenarios/profiles/collectives/README.md)";
    // What held-out sizes say where the same systems gave curves; the fit never sees them.
    for (const ShapeReport& report : fit.reports) {
      if (report.held_out_rows == 0 || report.fitted_rows == 0 || report.shape.nodes > 1) continue;
      const double allowed = report.system == "superbench" ? 0.08 : 0.05;
      if (report.system.starts_with("vidur")) continue;  // three repetitions, to the microsecond
      EXPECT_LT(report.whole_held_out, allowed) << report.system;
    }
  }
}

// One system whose library is known: two protocols of one node, 8 GPUs at 300 GB/s.
TEST(CollectiveFit, FindsAKnownLibrary) {
  CollectiveProfile truth = public_constants(true);
  truth.protocols[1] = {20e-6, 1e-6, 5e-6, 0.6, 0.9};
  truth.protocols[2] = {30e-6, 4e-6, 9e-6, 0.8, 0.9};
  CollectiveSamples samples;
  Fabric fabric;
  fabric.devices_per_node = 8;
  fabric.near_type = "nvlink";
  fabric.near_latency = 0.6e-6;
  fabric.near_pair = 300e9;
  fabric.near_ring.assign(9, 300e9);
  fabric.near_exchange.assign(9, 300e9);
  fabric.far_bandwidth.assign(9, 100e9);
  fabric.far_latency = {0, 3e-6};
  fabric.far_share = {1};
  samples.systems.push_back({"known", "known", fabric, false});
  const GroupCosts costs = GroupCosts::make(fabric, truth);
  for (const int64_t ranks : {2, 4, 8}) {
    for (int64_t bytes = 1024; bytes <= int64_t{1} << 32; bytes *= 2) {
      const GroupShape shape{.ranks_per_node = ranks};
      const double seconds =
          costs.time(CollectiveOp::kAllGather, Bytes(bytes), shape).time.seconds();
      const bool held_out = ranks == 4;
      samples.rows.push_back({0, CollectiveOp::kAllGather, shape, Bytes(bytes), seconds, held_out});
    }
  }
  const CollectiveProfile network = public_constants(true);
  const CollectiveFit fit = fit_collectives(samples, {"known", {"X"}, 0, "s"}, &network);
  for (const ShapeReport& report : fit.reports) {
    // The ranks between, by protocols alone.
    if (report.held_out_rows == 0) continue;
    EXPECT_LT(report.model_held_out, 0.05);
  }
}

TEST(CollectiveSamples, RefusesWhatItCannotUse) {
  const auto samples = read_collective_samples(kCollectives + "/samples", "none");
  ASSERT_FALSE(samples);
  EXPECT_NE(samples.error().to_string().find("none.csv"), std::string::npos);
}

}  // namespace
}  // namespace soapbox::calib
