#include "sim/cost/roofline.h"

#include <gtest/gtest.h>

#include "sim/base/rng.h"

namespace soapbox {
namespace {

// 10 multiprocessors of 1 TFLOP/s in all, 100 GB/s.
Hardware device() {
  Hardware hardware;
  hardware.name = "ten";
  hardware.fp32_peak = tflops_per_s(1);
  hardware.memory_bandwidth = gb_per_s(100);
  hardware.sm_count = 10;
  return hardware;
}

RooflineShape shape_with(const ProductShape& product) {
  RooflineShape shape;
  shape.launch = microseconds(5);
  shape.memory_efficiency = 0.5;
  shape.products = {product, product, product, product};
  return shape;
}

double product_seconds(const ProductShape& product, const Gemm& gemm) {
  return Roofline(shape_with(product), device())
      .product_seconds(gemm, 0, ProductKind::kGemm, DataType::kFp32);
}

// One block of 64 x 64 and one step of k: 2 * 64 * 64 FLOPs on one of ten multiprocessors.
constexpr double kBlockStep = 2.0 * 64 * 64 / (1e12 / 10);

TEST(Roofline, FullWavesRunAtTheTilesEfficiency) {
  // 640 x 640 is 100 blocks: 10 full waves.
  const ProductShape product{{{64, 64, 0.5, 0}}, 0, 0, 0, 1};
  EXPECT_DOUBLE_EQ(product_seconds(product, {1, 640, 640, 100}), 10 * 100 * kBlockStep / 0.5);
}

TEST(Roofline, TilesOverTheEdgeAndWavesThatAreNotFullCostAsMuchAsWholeOnes) {
  const ProductShape product{{{64, 64, 1.0, 0}}, 0, 0, 0, 1};
  // 65 x 64 needs two blocks, still one wave; 11 blocks need two waves.
  EXPECT_DOUBLE_EQ(product_seconds(product, {1, 65, 64, 100}), 100 * kBlockStep);
  EXPECT_DOUBLE_EQ(product_seconds(product, {1, 64 * 11, 64, 100}), 2 * 100 * kBlockStep);
  EXPECT_DOUBLE_EQ(product_seconds(product, {11, 64, 64, 100}), 2 * 100 * kBlockStep);
}

TEST(Roofline, LatencyRampAndLongRowsAdd) {
  const ProductShape product{{{64, 64, 1.0, 0}}, 0.5, 20, 1.0, 1};
  EXPECT_DOUBLE_EQ(product_seconds(product, {1, 64, 64, 100}), 1.5 * 120 * kBlockStep);
  // k = 18432 is half-way between 4096 and 32768.
  EXPECT_DOUBLE_EQ(product_seconds(product, {1, 64, 64, 18432}), 1.5 * 18452 * kBlockStep * 1.5);
}

TEST(Roofline, SplittingKFillsTheDeviceAndPaysForTheSum) {
  const ProductShape whole{{{64, 64, 1.0, 0}}, 0, 0, 0, 1};
  const ProductShape split{{{64, 64, 1.0, 0}}, 0, 0, 0, 8};
  const Gemm gemm{1, 64, 64, 80000};
  EXPECT_DOUBLE_EQ(product_seconds(whole, gemm), 80000 * kBlockStep);
  // Eight blocks in one wave, and 2 x 8 passes over a result of 16 KiB at 50 GB/s.
  const double sum = 2 * 8 * 64.0 * 64 * 4 / 50e9;
  EXPECT_DOUBLE_EQ(product_seconds(split, gemm), 10000 * kBlockStep + sum);
}

TEST(Roofline, NarrowProductsAreStreamed) {
  const ProductShape product{{{64, 64, 1.0, 0}}, 0, 0, 0, 1};
  // 1 x 1024 x 256: the matrix of 1 MiB at 50 GB/s takes 21 us; 16 tiles in two waves 42 us.
  EXPECT_DOUBLE_EQ(product_seconds(product, {1, 1, 1024, 256}), 1024.0 * 256 * 4 / 50e9);
}

TEST(Roofline, MemoryBoundsAProductAndPassesAddToIt) {
  const ProductShape product{{{64, 64, 1.0, 0.25}}, 0, 0, 0, 1};
  const Roofline roofline(shape_with(product), device());
  Work work;
  work.product = {1, 64, 64, 100};
  work.product_bytes = 1e6;  // 20 us at 50 GB/s, more than 8 us of computing
  work.kernels = 1;
  EXPECT_DOUBLE_EQ(roofline.run_seconds(work, DataType::kFp32), 1.25 * 20e-6);
  work.product_bytes = 1e5;  // 2 us
  EXPECT_DOUBLE_EQ(roofline.run_seconds(work, DataType::kFp32), 100 * kBlockStep + 0.25 * 2e-6);
}

TEST(Roofline, EveryKernelOfEveryStepIsLaunched) {
  const ProductShape product{{{64, 64, 1.0, 0}}, 0, 0, 0, 1};
  const Roofline roofline(shape_with(product), device());
  Work work;
  work.product = {1, 64, 64, 100, 8};
  work.stream_bytes = 1e5;
  work.kernels = 2;
  EXPECT_EQ(roofline.launch_time(work), microseconds(5 * 2 * 8));
  EXPECT_DOUBLE_EQ(roofline.run_seconds(work, DataType::kFp32), 8 * (100 * kBlockStep + 2e-6));
}

TEST(Roofline, TypesRunAtTheirOwnPeakOrElseThatOfFp32) {
  Hardware hardware = device();
  hardware.bf16_peak = tflops_per_s(8);
  const ProductShape product{{{64, 64, 1.0, 0}}, 0, 0, 0, 1};
  const Roofline roofline(shape_with(product), hardware);
  const Gemm gemm{1, 640, 640, 1000};
  const double fp32 = roofline.product_seconds(gemm, 0, ProductKind::kGemm, DataType::kFp32);
  EXPECT_DOUBLE_EQ(roofline.product_seconds(gemm, 0, ProductKind::kGemm, DataType::kBf16),
                   fp32 / 8);
  EXPECT_DOUBLE_EQ(roofline.product_seconds(gemm, 0, ProductKind::kGemm, DataType::kFp16), fp32);
}

Gemm random_gemm(Rng& rng) {
  Gemm gemm;
  gemm.batch = 1 + rng.below(4);
  gemm.m = 1 + rng.below(3000);
  gemm.n = 1 + rng.below(3000);
  gemm.k = 1 + rng.below(20000);
  return gemm;
}

TEST(Roofline, MoreWorkIsNeverFaster) {
  const Roofline roofline(datasheet_shape(), device());
  const uint64_t seed = 41;
  Rng rng(seed);
  for (int trial = 0; trial < 20000; ++trial) {
    const Gemm small = random_gemm(rng);
    Gemm large = small;
    large.batch += rng.below(2);
    large.m += rng.below(200);
    large.n += rng.below(200);
    large.k += rng.below(200);
    EXPECT_LE(roofline.product_seconds(small, 0, ProductKind::kGemm, DataType::kFp32),
              roofline.product_seconds(large, 0, ProductKind::kGemm, DataType::kFp32))
        << "seed " << seed << " trial " << trial << ": " << small.m << " " << small.n << " "
        << small.k << " to " << large.m << " " << large.n << " " << large.k;
  }
}

TEST(Roofline, PiecesTogetherAreNeverFasterThanTheWhole) {
  const Roofline roofline(datasheet_shape(), device());
  const uint64_t seed = 42;
  Rng rng(seed);
  for (int trial = 0; trial < 20000; ++trial) {
    Gemm piece = random_gemm(rng);
    const int64_t by_m = 1 + rng.below(4), by_n = 1 + rng.below(4), by_batch = 1 + rng.below(4);
    Gemm whole = piece;
    whole.batch *= by_batch;
    whole.m *= by_m;
    whole.n *= by_n;
    const double pieces = static_cast<double>(by_m * by_n * by_batch);
    const double apart = roofline.product_seconds(piece, 0, ProductKind::kGemm, DataType::kFp32);
    const double together = roofline.product_seconds(whole, 0, ProductKind::kGemm, DataType::kFp32);
    EXPECT_GE(pieces * apart, together * (1 - 1e-12)) << "seed " << seed << " trial " << trial;
  }
}

}  // namespace
}  // namespace soapbox
