#include "sim/cost/kernel_costs.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "sim/base/rng.h"
#include "sim/cluster/test_hardware.h"

namespace soapbox {
namespace {

// Round figures, so that times can be worked out by hand: 100 multiprocessors, 1 TFLOP/s on fp32
// units, 100 on tensor units, 1 TB/s.
Hardware round_device() {
  Hardware hardware;
  hardware.name = "round";
  hardware.fp32_peak = tflops_per_s(1);
  hardware.tf32_peak = tflops_per_s(50);
  hardware.fp16_peak = tflops_per_s(100);
  hardware.bf16_peak = tflops_per_s(100);
  hardware.fp8_peak = tflops_per_s(200);
  hardware.memory_bandwidth = gb_per_s(1000);
  hardware.sm_count = 100;
  return hardware;
}

// One tile at full efficiency and nothing else.
KernelProfile ideal_profile() {
  GemmFit fit;
  fit.tiles = {{128, 128, 1.0}};
  fit.interval = {0.1, 0.2};
  fit.range = {{1, 1, 1, 1}, {64, 65536, 65536, 65536}};
  fit.fitted_on = "round";
  KernelProfile profile;
  profile.hardware = "round";
  profile.gemm.fill(fit);
  profile.attention_forward = {{0.5, 1.0, 0.5}, 0, {0.1, 0.2}, "round"};
  profile.attention_backward = profile.attention_forward;
  profile.memory = {{{0.5, {}, "round"}, {0.25, {}, ""}, {0.2, {}, "other"}, {1, {}, "round"}}};
  return profile;
}

KernelCosts costs_of(const KernelProfile& profile) {
  auto costs = KernelCosts::make(round_device(), &profile);
  SOAPBOX_CHECK(costs.has_value(), "the profile is good");
  return *std::move(costs);
}

Kernel product(const Gemm& gemm, double bytes = 0, DataType type = DataType::kBf16) {
  Kernel kernel;
  kernel.kind = KernelKind::kGemm;
  kernel.type = type;
  kernel.gemm = gemm;
  kernel.bytes = bytes;
  return kernel;
}

double seconds(const KernelCosts& costs, const Kernel& kernel) {
  return costs.time(kernel).time.seconds();
}

TEST(KernelCosts, AFullWaveOfBlocksRunsAtThePeak) {
  const KernelCosts costs = costs_of(ideal_profile());
  // 10 x 10 blocks on 100 multiprocessors: FLOPs / peak.
  const Gemm gemm{1, 1280, 1280, 4096};
  EXPECT_NEAR(seconds(costs, product(gemm)), gemm.flops() / 100e12, 1e-12);
  EXPECT_NEAR(seconds(costs, product(gemm, 0, DataType::kFp32)), gemm.flops() / 1e12, 1e-12);
  EXPECT_NEAR(seconds(costs, product(gemm, 0, DataType::kTf32)), gemm.flops() / 50e12, 1e-12);
  EXPECT_NEAR(seconds(costs, product(gemm, 0, DataType::kFp8)), gemm.flops() / 200e12, 1e-12);
}

TEST(KernelCosts, MemoryBoundsAThinProduct) {
  KernelProfile profile = ideal_profile();
  for (GemmFit& fit : profile.gemm) fit.memory_efficiency = 0.5;
  // Computing takes one wave, 64 blocks of 128 x 128 x 8192 at 1 TFLOP/s each: 0.27 ms. Moving 1 GB
  // at half of 1 TB/s takes 2 ms.
  EXPECT_NEAR(seconds(costs_of(profile), product({1, 1, 8192, 8192}, 1e9)), 2e-3, 1e-12);
  // What is not hidden comes on top: a tenth of those 0.27 ms.
  for (GemmFit& fit : profile.gemm) fit.unhidden = 0.1;
  const double compute = 2.0 * 128 * 128 * 8192 / 1e12;
  EXPECT_NEAR(seconds(costs_of(profile), product({1, 1, 8192, 8192}, 1e9)), 2e-3 + 0.1 * compute,
              1e-12);
}

TEST(KernelCosts, WavesThatAreNotFullCostWhatTheProfileSays) {
  KernelProfile profile = ideal_profile();
  const double wave = 2.0 * 128 * 128 * 4096 / 1e12;  // of one block on one multiprocessor
  // 101 blocks: two waves in full, 1.01 without quantisation, and half of the way at 0.5.
  const Kernel kernel = product({1, 128, 128 * 101, 4096});
  EXPECT_NEAR(seconds(costs_of(profile), kernel), 2 * wave, 1e-12);
  for (GemmFit& fit : profile.gemm) fit.quantisation = 0;
  EXPECT_NEAR(seconds(costs_of(profile), kernel), 1.01 * wave, 1e-12);
  for (GemmFit& fit : profile.gemm) fit.quantisation = 0.5;
  EXPECT_NEAR(seconds(costs_of(profile), kernel), 1.505 * wave, 1e-12);
}

TEST(KernelCosts, BlocksThatStickOutAreComputedInFull) {
  const KernelCosts costs = costs_of(ideal_profile());
  EXPECT_EQ(seconds(costs, product({1, 1281, 1280, 512})),
            seconds(costs, product({1, 1408, 1280, 512})));
  EXPECT_LT(seconds(costs, product({1, 1280, 1280, 512})),
            seconds(costs, product({1, 1281, 1280, 512})));
}

TEST(KernelCosts, TheFastestTileAndSplitAreTaken) {
  KernelProfile profile = ideal_profile();
  // One block with k = 65536 leaves 99 multiprocessors idle; cut in 64 it takes a 64th, and two
  // passes for each of the 64 partial results of 64 KiB.
  const double alone = 2.0 * 128 * 128 * 65536 / 1e12;
  const Kernel kernel = product({1, 128, 128, 65536});
  EXPECT_NEAR(seconds(costs_of(profile), kernel), alone, 1e-12);
  for (GemmFit& fit : profile.gemm) fit.max_split = 64;
  EXPECT_NEAR(seconds(costs_of(profile), kernel), alone / 64, 1e-12);
  // The parts are added up by a second kernel. One launch that takes longer than what cutting saves
  // leaves the product whole.
  for (GemmFit& fit : profile.gemm) fit.launch = microseconds(5);
  EXPECT_NEAR(seconds(costs_of(profile), kernel), 2 * 5e-6 + alone / 64, 1e-12);
  for (GemmFit& fit : profile.gemm) fit.launch = milliseconds(3);
  EXPECT_NEAR(seconds(costs_of(profile), kernel), 3e-3 + alone, 1e-12);
  // A smaller tile for a product of 64 x 64, at half of the efficiency: half of the time.
  profile = ideal_profile();
  const double big = seconds(costs_of(profile), product({1, 64, 64, 4096}));
  for (GemmFit& fit : profile.gemm) fit.tiles.push_back({64, 64, 0.5});
  EXPECT_NEAR(seconds(costs_of(profile), product({1, 64, 64, 4096})), big / 2, 1e-12);
}

TEST(KernelCosts, LaunchRampRoleAndFactorEnterAsTheHeaderSays) {
  KernelProfile profile = ideal_profile();
  GemmFit& fit = profile.gemm[static_cast<size_t>(GemmFamily::kTensorLinear)];
  fit.launch = microseconds(7);
  fit.ramp = 100;
  fit.role = {1, 1.5, 2};
  fit.factor.axes = {{{0, 1, 1}, {0, 1, 1}, {10, 2, 2}, {0, 1, 1}}};
  fit.factor.factors = {1.25, 0.75};  // at n = 1024 and 4096
  const KernelCosts costs = costs_of(profile);
  Kernel kernel = product({1, 1280, 1280, 900});
  const double run = 2.0 * 1280 * 1280 * (900 + 100) / 100e12;
  // n = 1280 is a quarter of an octave above 1024, so an eighth of the way to 4096.
  const double factor = 1.25 - 0.5 * 0.125;
  EXPECT_NEAR(seconds(costs, kernel), 7e-6 + factor * run, 1e-12);
  kernel.role = GemmRole::kWeightGradient;
  EXPECT_NEAR(seconds(costs, kernel), 7e-6 + 2 * factor * run, 1e-12);
  kernel.gemm.steps = 3;
  EXPECT_NEAR(seconds(costs, kernel), 3 * (7e-6 + 2 * factor * run), 1e-12);
  // Batches and experts are other families.
  kernel = product({2, 1280, 1280, 900});
  EXPECT_NEAR(seconds(costs, kernel), kernel.gemm.flops() / 100e12, 1e-12);
  kernel.kind = KernelKind::kGroupedGemm;
  EXPECT_NEAR(seconds(costs, kernel), kernel.gemm.flops() / 100e12, 1e-12);
}

// 32 bytes are 8 values of fp32 and 16 of bf16. A row of x W^T and of W is k long, one of dY and W
// in dY W k and n, of dY and X in dY^T X m and n, of a batch's operands k and n.
TEST(KernelCosts, RowsOfOperandsAreWholeSectorsOrNot) {
  const auto whole = [](const Gemm& gemm, GemmRole role, DataType type = DataType::kFp32) {
    Kernel kernel = product(gemm, 0, type);
    kernel.role = role;
    return in_whole_sectors(kernel);
  };
  EXPECT_TRUE(whole({1, 3, 5, 8}, GemmRole::kForward));
  EXPECT_FALSE(whole({1, 8, 8, 12}, GemmRole::kForward));
  EXPECT_FALSE(whole({1, 3, 5, 8}, GemmRole::kForward, DataType::kBf16));
  EXPECT_TRUE(whole({1, 3, 5, 16}, GemmRole::kForward, DataType::kBf16));
  EXPECT_TRUE(whole({1, 3, 8, 8}, GemmRole::kInputGradient));
  EXPECT_FALSE(whole({1, 8, 5, 8}, GemmRole::kInputGradient));
  EXPECT_TRUE(whole({1, 8, 8, 3}, GemmRole::kWeightGradient));
  EXPECT_FALSE(whole({1, 5, 8, 8}, GemmRole::kWeightGradient));
  EXPECT_TRUE(whole({2, 3, 8, 8}, GemmRole::kForward));
  EXPECT_FALSE(whole({2, 8, 5, 8}, GemmRole::kForward));
  Kernel experts = product({2, 8, 5, 8}, 0, DataType::kFp32);
  experts.kind = KernelKind::kGroupedGemm;  // each an x W^T
  EXPECT_TRUE(in_whole_sectors(experts));
}

TEST(KernelCosts, OnlyBrokenSectorsAddToTheFactor) {
  KernelProfile profile = ideal_profile();
  GemmFit& fit = profile.gemm[static_cast<size_t>(GemmFamily::kFp32Linear)];
  fit.role = {2, 1, 1};
  fit.unaligned.axes = {{{0, 1, 1}, {0, 1, 1}, {0, 1, 1}, {6, 4, 2}}};
  fit.unaligned.factors = {0.5, 0.1};  // at k = 64 and 1024
  const KernelCosts costs = costs_of(profile);
  const auto relative = [&](int64_t k) {
    const Kernel kernel = product({1, 1280, 1280, k}, 0, DataType::kFp32);
    return seconds(costs, kernel) / (kernel.gemm.flops() / 1e12);
  };
  EXPECT_NEAR(relative(64), 2, 1e-6);
  EXPECT_NEAR(relative(63), 2 * 1.5, 1e-6);
  EXPECT_NEAR(relative(1028), 2 * 1.1, 1e-6);
}

TEST(KernelCosts, GridsAreConstantBeyondTheirNodes) {
  FactorGrid grid;
  EXPECT_EQ(grid_factor(grid, {1, 1, 1, 1}), 1);
  grid.axes = {{{0, 1, 2}, {4, 2, 2}, {0, 1, 1}, {0, 1, 1}}};
  grid.factors = {1, 2, 3, 5};  // (batch 1, m 16), (1, 64), (2, 16), (2, 64)
  EXPECT_EQ(grid_factor(grid, {1, 16, 9, 9}), 1);
  EXPECT_EQ(grid_factor(grid, {1, 1, 1, 1}), 1);
  EXPECT_EQ(grid_factor(grid, {1, 1 << 20, 1, 1}), 2);
  EXPECT_EQ(grid_factor(grid, {7, 64, 1, 1}), 5);
  EXPECT_EQ(grid_factor(grid, {1, 32, 1, 1}), 1.5);
  EXPECT_EQ(grid_factor(grid, {2, 48, 1, 1}), 4.5);  // linear within an octave
}

TEST(KernelCosts, AttentionMultipliesTwoMatricesForwardAndFiveBackward) {
  KernelProfile profile = ideal_profile();
  Kernel kernel = product({8, 4096, 4096, 128});
  kernel.kind = KernelKind::kAttention;
  const double square = 8.0 * 4096 * 4096;
  EXPECT_NEAR(seconds(costs_of(profile), kernel), square * 4 * 128 / 100e12, 1e-12);
  kernel.causal = true;  // n (n + 1) / 2 pairs
  const double triangle = 8.0 * 4096 * 4097 / 2;
  EXPECT_NEAR(seconds(costs_of(profile), kernel), triangle * 4 * 128 / 100e12, 1e-12);
  kernel.backward = true;
  EXPECT_NEAR(seconds(costs_of(profile), kernel), triangle * 10 * 128 / 100e12, 1e-12);
  // Half of the efficiency at head dimension 64; context parallelism: the last 1024 queries.
  kernel = product({8, 1024, 4096, 64});
  kernel.kind = KernelKind::kAttention;
  kernel.causal = true;
  const double seen = 8 * (1024.0 * 4096 - 1024 * 1023 / 2);
  EXPECT_NEAR(seconds(costs_of(profile), kernel), seen * 4 * 64 / 50e12, 1e-12);
  // The longest block: 128 queries x 4096 keys on one of 100 multiprocessors.
  profile.attention_forward.tail = 0.5;
  const double block = 128.0 * 4096 * 4 * 64 / 50e12 * 100;
  EXPECT_NEAR(seconds(costs_of(profile), kernel), seen * 4 * 64 / 50e12 + 0.5 * block, 1e-12);
}

TEST(KernelCosts, WhatIsNoProductMovesBytes) {
  KernelProfile profile = ideal_profile();
  profile.launch = microseconds(5);
  const KernelCosts costs = costs_of(profile);
  Kernel kernel;
  kernel.bytes = 1e9;
  kernel.launches = 2;
  EXPECT_NEAR(seconds(costs, kernel), 10e-6 + 2e-3, 1e-12);
  kernel.kind = KernelKind::kSoftmax;
  EXPECT_NEAR(seconds(costs, kernel), 10e-6 + 4e-3, 1e-12);
  EXPECT_EQ(costs.time(kernel).provenance, Provenance::kDatasheet);
  kernel.kind = KernelKind::kEmbedding;
  EXPECT_NEAR(seconds(costs, kernel), 10e-6 + 5e-3, 1e-12);
  EXPECT_EQ(costs.time(kernel).provenance, Provenance::kCalibratedRoofline);
  kernel.kind = KernelKind::kOptimizer;
  EXPECT_NEAR(seconds(costs, kernel), 10e-6 + 1e-3, 1e-12);
}

TEST(KernelCosts, IntervalsWidenAndProvenanceFallsAwayFromWhatWasMeasured) {
  KernelProfile profile = ideal_profile();
  const KernelCosts costs = costs_of(profile);
  const KernelTime inside = costs.time(product({1, 4096, 4096, 4096}));
  EXPECT_EQ(inside.provenance, Provenance::kInterpolated);
  EXPECT_EQ(inside.low, 0.1);
  EXPECT_EQ(inside.high, 0.2);
  const KernelTime outside = costs.time(product({1, 4096, 4 * 65536, 4096}));
  EXPECT_EQ(outside.provenance, Provenance::kCalibratedRoofline);
  EXPECT_DOUBLE_EQ(outside.high, 0.2 * 1.5);  // two octaves
  const KernelTime fp8 = costs.time(product({1, 4096, 4096, 4096}, 0, DataType::kFp8));
  EXPECT_EQ(fp8.provenance, Provenance::kDatasheet);
  EXPECT_DOUBLE_EQ(fp8.high, 0.4);
  for (GemmFit& fit : profile.gemm) fit.fitted_on = "a relative";
  const KernelTime transferred = costs_of(profile).time(product({1, 4096, 4096, 4096}));
  EXPECT_EQ(transferred.provenance, Provenance::kCalibratedRoofline);
  EXPECT_DOUBLE_EQ(transferred.low, 0.2);
  const auto datasheet = KernelCosts::make(round_device(), nullptr);
  EXPECT_EQ(datasheet->time(product({1, 4096, 4096, 4096})).provenance, Provenance::kDatasheet);
}

// Without a factor, no side of a product makes it faster by growing.
TEST(KernelCosts, TimeGrowsWithEverySide) {
  const auto costs = KernelCosts::make(round_device(), nullptr);
  Rng rng(7);
  for (int i = 0; i < 20000; ++i) {
    const auto side = [&] { return static_cast<int64_t>(std::exp2(14 * rng.uniform())); };
    const Gemm gemm{1 + side() / 512, side(), side(), side()};
    const auto time_of = [&](const Gemm& g) {
      const double elements =
          static_cast<double>(g.batch) * static_cast<double>(g.m * g.n + g.m * g.k + g.n * g.k);
      Kernel kernel = product(g, 2 * elements);
      kernel.kind = KernelKind::kGroupedGemm;  // one family, whatever the batch
      return costs->time(kernel).time;
    };
    Gemm larger = gemm;
    const std::array<int64_t*, 4> sides = {&larger.batch, &larger.m, &larger.n, &larger.k};
    int64_t& grown = *sides[static_cast<size_t>(i % 4)];
    grown += 1 + grown * static_cast<int64_t>(4 * rng.uniform());
    EXPECT_LE(time_of(gemm), time_of(larger)) << gemm.m << "x" << gemm.n << "x" << gemm.k;
    // Nor does it ever beat the peak or the memory.
    EXPECT_GE(time_of(gemm).seconds(), gemm.flops() / 100e12);
  }
}

TEST(KernelCosts, RefusesHardwareThatItCannotCost) {
  Hardware hardware = round_device();
  hardware.sm_count = 0;
  EXPECT_EQ(KernelCosts::make(hardware, nullptr).error().message,
            "hardware 'round' has no multiprocessors");
  hardware = round_device();
  hardware.memory_bandwidth = {};
  EXPECT_EQ(KernelCosts::make(hardware, nullptr).error().message,
            "hardware 'round' has no memory bandwidth");
  hardware = Hardware{};
  hardware.name = "none";
  hardware.memory_bandwidth = gb_per_s(1);
  hardware.sm_count = 1;
  EXPECT_EQ(KernelCosts::make(hardware, nullptr).error().message,
            "hardware 'none' has no peak of any type");
  const KernelProfile profile = ideal_profile();
  EXPECT_EQ(KernelCosts::make(test_p100(), &profile).error().message,
            "kernel profile of 'round' is not one of 'P100-SXM2-16GB'");
}

}  // namespace
}  // namespace soapbox
