#include "calib/fits/kernel_fits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include "calib/fits/attention_fit.h"
#include "calib/fits/pass_fit.h"
#include "calib/fits/product_fit.h"
#include "sim/base/rng.h"
#include "sim/cost/kernel_costs.h"

namespace soapbox::calib {
namespace {

const std::string kProfiles = std::string(SOAPBOX_SOURCE_DIR) + "/scenarios/profiles";

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// All fits take seconds; every test looks at the same ones.
const KernelFits& all_fits() {
  static const Result<KernelFits> kFits = fit_kernels(kProfiles);
  SOAPBOX_CHECK(kFits.has_value(), kFits.error().message.c_str());
  return *kFits;
}

const FitLine& line_of(const std::string& device, const std::string& family) {
  for (const FitLine& line : all_fits().lines) {
    if (line.device == device && line.family == family) return line;
  }
  SOAPBOX_CHECK(false, "no such fit");
}

TEST(KernelFits, RegeneratesTheShippedProfilesByteForByte) {
  for (const KernelProfile& profile : all_fits().profiles) {
    EXPECT_EQ(to_toml(profile),
              file_text(kProfiles + "/kernel_profiles/" + profile.hardware + ".toml"))
        << "run soapbox_fit_kernels (scenarios/profiles/kernel_profiles/README.md)";
  }
}

TEST(KernelFits, ShippedTableOfErrorsIsWhatTheFitsGive) {
  EXPECT_EQ(to_table(all_fits()), file_text(kProfiles + "/kernel_profiles/errors.txt"));
}

// On shapes of real models, which no fit has seen. The rows of the V100 and the P100 were measured
// in other sessions than the fitted ones, which is in their errors.
TEST(KernelFits, HeldOutProductsOfTheSameDeviceAreNear) {
  EXPECT_LT(line_of("A100-PCIe-40GB", "fp32_linear").report.held_out.mape, 0.06);
  EXPECT_LT(line_of("A100-PCIe-40GB", "fp32_batched").report.held_out.mape, 0.065);
  EXPECT_LT(line_of("P100-PCIe-16GB", "fp32_linear").report.held_out.mape, 0.10);
  EXPECT_LT(line_of("V100-PCIe-32GB", "fp32_linear").report.held_out.mape, 0.08);
  EXPECT_LT(line_of("V100-PCIe-32GB", "fp32_batched").report.held_out.mape, 0.10);
  EXPECT_LT(line_of("H200-SXM-141GB", "tensor_linear").report.held_out.mape, 0.06);
  EXPECT_LT(line_of("A100-PCIe-40GB", "fp32_batched").report.crossed.mape, 0.05);
  EXPECT_LT(line_of("P100-PCIe-16GB", "fp32_batched").report.held_out.mape, 0.05);
  EXPECT_LT(line_of("A100-SXM4-80GB", "tensor_linear").report.held_out.mape, 0.06);
  EXPECT_LT(line_of("A100-PCIe-80GB", "tensor_linear").report.held_out.mape, 0.06);
  EXPECT_LT(line_of("H100-SXM5-80GB", "tensor_linear").report.held_out.mape, 0.06);
  EXPECT_LT(line_of("V100-SXM2-32GB", "tensor_linear").report.held_out.mape, 0.07);
  EXPECT_LT(line_of("B200-SXM-180GB", "tensor_linear").report.held_out.mape, 0.10);
}

// Rows that the fits of the cross-validation had not seen. Few rows cannot say it to a percent.
TEST(KernelFits, IntervalsCoverNineTenths) {
  for (const FitLine& line : all_fits().lines) {
    if (line.report.crossed.rows < 100) continue;
    EXPECT_GE(line.report.crossed.coverage, 0.88) << line.device << " " << line.family;
    EXPECT_LE(line.report.crossed.coverage, 0.95) << line.device << " " << line.family;
  }
}

// Where the library's tiles differ (batches of the V100 and the T4) five anchors are not enough;
// the table says so.
TEST(KernelFits, FiveAnchorsCarryAFitToAnotherDevice) {
  int checked = 0;
  for (const TransferLine& line : all_fits().transfers) {
    EXPECT_GT(line.anchored.rows, 100u);
    if (line.family == "fp32_batched" && line.target != "A100-PCIe-80GB") continue;
    if (line.target == "P100-PCIe-16GB") continue;
    EXPECT_LT(line.anchored.mape, 0.16) << line.target << " from " << line.source;
    ++checked;
  }
  EXPECT_EQ(checked, 13);
}

// Products timed by a known formula are predicted on rows that the fit has not seen.
TEST(ProductFit, PredictsAKnownDevice) {
  const Hardware& hardware = measured_devices()[4];
  KernelProfile truth = datasheet_kernel_profile();
  truth.hardware = hardware.name;
  GemmFit& fit = truth.gemm[static_cast<size_t>(GemmFamily::kTensorLinear)];
  fit.tiles = {{256, 128, 0.8}, {64, 64, 0.5}};
  fit.ramp = 120;
  fit.launch = microseconds(6);
  const auto costs = KernelCosts::make(hardware, &truth);
  Rng rng(3);
  std::vector<ProductSample> samples;
  for (int i = 0; i < 500; ++i) {
    Kernel kernel;
    kernel.kind = KernelKind::kGemm;
    kernel.type = DataType::kFp16;
    kernel.gemm = {1, 1 + rng.below(8000), 1 + rng.below(8000), 1 + rng.below(8000)};
    const Gemm& g = kernel.gemm;
    kernel.bytes = 2 * static_cast<double>(g.m * g.k + g.k * g.n + g.m * g.n);
    samples.push_back({{kernel}, costs->time(kernel).time.seconds(), i % 4 == 3});
  }
  ProductFitStart start;
  start.fit = datasheet_kernel_profile().gemm[static_cast<size_t>(GemmFamily::kTensorLinear)];
  start.fit.tiles = {{256, 128, 0.7}, {64, 64, 0.7}};
  start.fit.factor.axes = {{{0, 1, 1}, {4, 2, 6}, {6, 2, 5}, {6, 2, 5}}};
  const FittedProducts found = fit_products(samples, GemmFamily::kTensorLinear, hardware, start);
  EXPECT_LT(found.report.held_out.mape, 0.02);
  EXPECT_NEAR(found.fit.tiles[0].efficiency, 0.8, 0.04);
  EXPECT_GT(found.report.held_out.coverage, 0.8);
}

// What the formula misses, a smooth factor of 1.3 over small m, is left to the grid.
TEST(ProductFit, TheGridTakesWhatTheFormulaLeavesOver) {
  const Hardware& hardware = measured_devices()[4];
  KernelProfile truth = datasheet_kernel_profile();
  truth.hardware = hardware.name;
  GemmFit& fit = truth.gemm[static_cast<size_t>(GemmFamily::kTensorLinear)];
  fit.factor.axes = {{{0, 1, 1}, {4, 2, 2}, {6, 2, 1}, {6, 2, 1}}};
  fit.factor.factors = {1.3, 1};
  const auto costs = KernelCosts::make(hardware, &truth);
  Rng rng(4);
  std::vector<ProductSample> samples;
  for (int i = 0; i < 400; ++i) {
    Kernel kernel;
    kernel.kind = KernelKind::kGemm;
    kernel.type = DataType::kFp16;
    kernel.gemm = {1, 1 + rng.below(i % 2 == 0 ? 64 : 4096), 64 + rng.below(8000),
                   64 + rng.below(8000)};
    samples.push_back({{kernel}, costs->time(kernel).time.seconds(), false});
  }
  ProductFitStart start;
  start.fit = datasheet_kernel_profile().gemm[static_cast<size_t>(GemmFamily::kTensorLinear)];
  start.fit.factor.axes = {{{0, 1, 1}, {4, 2, 5}, {6, 2, 5}, {6, 2, 5}}};
  start.smooth = 0.01;
  start.shrink = 0.001;
  const FittedProducts found = fit_products(samples, GemmFamily::kTensorLinear, hardware, start);
  EXPECT_LT(found.report.fitted.mape, 0.02);
  EXPECT_LT(found.report.fitted.mape, found.formula.mape);
}

// Products that take 1.4 times as long where k breaks sectors are told apart from those that do
// not.
TEST(ProductFit, WhatBreakingSectorsCostsIsFound) {
  const Hardware& hardware = measured_devices()[4];
  KernelProfile truth = datasheet_kernel_profile();
  truth.hardware = hardware.name;
  GemmFit& fit = truth.gemm[static_cast<size_t>(GemmFamily::kFp32Linear)];
  fit.unaligned.factors = {0.4};
  const auto costs = KernelCosts::make(hardware, &truth);
  Rng rng(5);
  std::vector<ProductSample> samples;
  for (int i = 0; i < 400; ++i) {
    Kernel kernel;
    kernel.kind = KernelKind::kGemm;
    kernel.type = DataType::kFp32;
    kernel.gemm = {1, 512 + rng.below(4000), 512 + rng.below(4000), 8 * (64 + rng.below(500))};
    if (i % 2 == 0) kernel.gemm.k += 3;
    samples.push_back({{kernel}, costs->time(kernel).time.seconds(), i % 5 == 4});
  }
  ProductFitStart start;
  start.fit = datasheet_kernel_profile().gemm[static_cast<size_t>(GemmFamily::kFp32Linear)];
  start.fit.factor.axes = {{{0, 1, 1}, {8, 2, 3}, {8, 2, 3}, {8, 2, 3}}};
  start.smooth = 0.01;
  start.shrink = 0.001;
  const FittedProducts found = fit_products(samples, GemmFamily::kFp32Linear, hardware, start);
  EXPECT_LT(found.report.held_out.mape, 0.02);
  ASSERT_EQ(found.fit.unaligned.factors.size(), 1u);
  const double aligned = found.fit.factor.factors.front();
  EXPECT_NEAR(found.fit.unaligned.factors.front() / aligned, 0.4, 0.04);
}

// 2 and 3 us of one product lie 0.5 us from 2.5; another one was measured once.
TEST(ProductFit, RepeatedRowsSayWhatNoFitTellsApart) {
  Kernel kernel;
  kernel.gemm = {1, 64, 64, 64};
  Kernel other = kernel;
  other.role = GemmRole::kInputGradient;
  const FitErrors errors =
      repeat_errors({{{kernel}, 2e-6, false}, {{other}, 9e-6, false}, {{kernel}, 3e-6, true}}, {});
  EXPECT_EQ(errors.rows, 2u);
  EXPECT_NEAR(errors.mape, (0.5 / 2 + 0.5 / 3) / 2, 1e-12);
}

// 1000 rows whose errors are 0.1 %, 0.2 % ... 100 % above: 5 % lie below the 50th, 5 % above the
// 950th.
TEST(FitErrors, IntervalsAreQuantiles) {
  std::vector<double> ratios;
  for (int i = 1; i <= 1001; ++i) ratios.push_back(1 / (1 + i * 1e-3));
  const Interval interval = interval_from(ratios);
  EXPECT_NEAR(interval.high, 0.951, 0.001);
  EXPECT_EQ(interval.low, 0.01);  // at least
  const FitErrors errors = errors_from({0.5, 1.0, 2.0}, {0.4, 0.1});
  EXPECT_EQ(errors.rows, 3u);
  EXPECT_DOUBLE_EQ(errors.mape, 0.5);
  EXPECT_DOUBLE_EQ(errors.worst, 1.0);
  EXPECT_DOUBLE_EQ(errors.bias, 1.0);
  EXPECT_NEAR(errors.coverage, 1.0 / 3, 1e-12);
}

class KernelSampleFiles : public testing::Test {
 protected:
  std::string write(const std::string& text) const {
    const std::string path = std::string(SOAPBOX_BINARY_DIR) + "/kernel_sample_" +
                             testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ofstream(path) << text;
    return path;
  }
};

TEST_F(KernelSampleFiles, RefuseWhatIsNoProduct) {
  const std::string header = "split,role,batch,m,n,k,accumulate,time_us\n";
  const auto refusal = [&](const std::string& row) {
    return read_product_samples(write(header + row), DataType::kBf16, false).error().to_string();
  };
  EXPECT_THAT(refusal("training,forward,1,2,3,4,0,5\n"),
              testing::HasSubstr(":2:1: split 'training': must be train or test"));
  EXPECT_THAT(refusal("train,sideways,1,2,3,4,0,5\n"),
              testing::HasSubstr(":2:7: role 'sideways': must be forward"));
  EXPECT_THAT(refusal("train,forward,1,0,3,4,0,5\n"), testing::HasSubstr(":2:17: m '0'"));
  EXPECT_THAT(refusal("train,forward,1,2,3,4,2,5\n"), testing::HasSubstr(":2:23: accumulate '2'"));
  EXPECT_THAT(refusal("train,forward,1,2,3,4,0,-5\n"), testing::HasSubstr(":2:25: time_us '-5'"));
}

TEST_F(KernelSampleFiles, BackwardIsBothGradients) {
  const auto samples = read_product_samples(
      write("split,role,batch,m,n,k,accumulate,time_us\ntest,backward,1,8,16,32,0,5\n"),
      DataType::kFp16, false);
  ASSERT_TRUE(samples) << samples.error().to_string();
  const ProductSample& sample = samples->front();
  EXPECT_TRUE(sample.held_out);
  ASSERT_EQ(sample.kernels.size(), 2u);
  EXPECT_EQ(sample.kernels[0].gemm, (Gemm{1, 8, 32, 16}));  // dX = dY W
  EXPECT_EQ(sample.kernels[1].gemm, (Gemm{1, 16, 32, 8}));  // dW = dY^T X
  EXPECT_EQ(sample.kernels[0].bytes, 2 * (8 * 16 + 16 * 32 + 8 * 32));
}

TEST_F(KernelSampleFiles, RefuseOtherAttentionAndPasses) {
  EXPECT_THAT(
      read_attention_samples(
          write("split,phase,causal,heads,seq_len,head_dim,time_us\ntrain,up,1,8,64,64,9\n"))
          .error()
          .to_string(),
      testing::HasSubstr(":2:7: phase 'up': must be forward or backward"));
  EXPECT_THAT(read_pass_samples(write("split,family,op,bytes,time_us\ntrain,sum,add,8,9\n"))
                  .error()
                  .to_string(),
              testing::HasSubstr(":2:7: family 'sum': must be pass, softmax"));
}

}  // namespace
}  // namespace soapbox::calib
