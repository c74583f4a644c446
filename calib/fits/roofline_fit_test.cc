#include "calib/fits/roofline_fit.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "sim/base/rng.h"

namespace soapbox::calib {
namespace {

const std::string kProfiles = std::string(SOAPBOX_SOURCE_DIR) + "/scenarios/profiles";

TEST(RooflineFit, RegeneratesTheShippedFitsByteForByte) {
  for (const FittedDevice& device : fitted_devices()) {
    const auto samples = read_kernel_samples(kProfiles + "/kernels/" + device.name);
    ASSERT_TRUE(samples) << samples.error().to_string();
    const RooflineFit fit = fit_roofline(*samples, device);
    std::ifstream file(kProfiles + "/fits/" + device.name + ".toml");
    std::ostringstream shipped;
    shipped << file.rdbuf();
    EXPECT_EQ(to_toml(fit, device), shipped.str())
        << "run soapbox_fit (scenarios/profiles/README.md)";
    // What the held-out rows say; the fitting never sees them. The roofline knows no caches, which
    // a softmax profits from.
    for (const FamilyReport& report : fit.reports) {
      EXPECT_GT(report.held_out_rows, 20u) << device.name << " " << report.family;
      if (report.family == "softmax") continue;
      EXPECT_LT(report.held_out_mape, 0.2) << device.name << " " << report.family;
    }
  }
}

// Kernels timed by a roofline that is known, plus host floor and intercept: the fit must predict
// those it has not seen.
TEST(RooflineFit, PredictsAKnownRoofline) {
  RooflineShape truth = datasheet_shape();
  truth.memory_efficiency = 0.6;
  ProductShape& linear = truth.products[static_cast<size_t>(ProductKind::kLinear)];
  linear.tiles = {{128, 128, 0.9, 0.2}, {64, 64, 0.5, 0.1}};
  const FittedDevice known = fitted_devices()[1];
  Hardware hardware;
  hardware.fp32_peak = known.fp32_peak;
  hardware.memory_bandwidth = known.memory_bandwidth;
  hardware.sm_count = known.sm_count;
  const Roofline device(truth, hardware);
  KernelSamples samples;
  Rng rng(7);
  const auto add = [&](std::vector<KernelSample>& to, Work work) {
    work.kernels = 1;
    const double seconds = std::max(50e-6, 20e-6 + device.run_seconds(work, DataType::kFp32));
    to.push_back({work, seconds, to.size() % 4 == 3});
  };
  for (int i = 0; i < 400; ++i) {
    Work product;
    product.kind = ProductKind::kLinear;
    product.product = {1, 1 + rng.below(4000), 1 + rng.below(4000), 1 + rng.below(4000)};
    const Gemm& gemm = product.product;
    product.product_bytes =
        4.0 * static_cast<double>(gemm.m * gemm.k + gemm.k * gemm.n + gemm.m * gemm.n);
    add(samples.linear, product);
    Work stream;
    stream.stream_bytes = 1e4 * (1 + rng.below(100000));
    add(samples.add, stream);
  }
  const RooflineFit fit = fit_roofline(samples, known);
  EXPECT_NEAR(fit.shape.memory_efficiency, 0.6, 0.01);
  for (const FamilyReport& report : fit.reports) {
    if (report.held_out_rows == 0) continue;
    EXPECT_LT(report.held_out_mape, 0.05) << report.family;
  }
}

TEST(KernelSamples, RefusesWhatItCannotUse) {
  const auto samples = read_kernel_samples(kProfiles + "/kernels/none");
  ASSERT_FALSE(samples);
  EXPECT_NE(samples.error().to_string().find("none_linear.csv"), std::string::npos);
}

}  // namespace
}  // namespace soapbox::calib
