#include "sim/cost/nearby_pieces.h"

#include <gtest/gtest.h>

#include <cmath>

namespace soapbox {
namespace {

Roofline some_roofline() {
  Hardware hardware;
  hardware.fp32_peak = tflops_per_s(10);
  hardware.memory_bandwidth = gb_per_s(500);
  hardware.sm_count = 64;
  return Roofline(datasheet_shape(), hardware);
}

Piece linear(int64_t m, int64_t n, int64_t k) {
  return {.kind = OpKind::kLinear, .extents = {m, n, k}};
}

// A measurement that is `ratio` times the roofline.
MeasuredPiece measured(const Piece& piece, double ratio) {
  const Roofline roofline = some_roofline();
  const Work work = work_of(piece);
  return {piece, from_seconds(ratio * (roofline.launch_time(work).seconds() +
                                       roofline.run_seconds(work, piece.type)))};
}

double factor(const NearbyPieces& nearby, const Piece& piece) {
  return nearby.factor(operator_of(piece), piece.phase, work_of(piece));
}

TEST(NearbyPieces, NothingMeasuredLeavesTheRooflineAlone) {
  EXPECT_EQ(factor(NearbyPieces(), linear(64, 64, 64)), 1);
  const std::vector<MeasuredPiece> one = {measured(linear(512, 512, 512), 2)};
  const NearbyPieces nearby(one, some_roofline());
  Piece other = linear(512, 512, 512);
  other.phase = Phase::kBackwardInput;
  EXPECT_EQ(factor(nearby, other), 1) << "another routine";
  other = linear(512, 512, 512);
  other.type = DataType::kBf16;
  EXPECT_EQ(factor(nearby, other), 1) << "another type";
}

// w = 1 / near^2 = 500 at the piece itself, against a prior of 1.
TEST(NearbyPieces, AMeasuredPieceKeepsItsRatio) {
  const std::vector<MeasuredPiece> one = {measured(linear(512, 512, 512), 2)};
  const NearbyPieces nearby(one, some_roofline());
  EXPECT_NEAR(factor(nearby, linear(512, 512, 512)), std::sqrt((1 + 500 * 2.0) / (1 + 500 / 2.0)),
              1e-6);
  // Twice in one size: d^2 = 1/9, w = 1 / (1/9 + 0.002).
  const double weight = 1 / (1.0 / 9 + 0.002);
  EXPECT_NEAR(factor(nearby, linear(1024, 512, 512)),
              std::sqrt((1 + 2 * weight) / (1 + weight / 2)), 1e-6);
}

TEST(NearbyPieces, TheFurtherThePieceTheLessItCounts) {
  const std::vector<MeasuredPiece> one = {measured(linear(512, 512, 512), 3)};
  const NearbyPieces nearby(one, some_roofline());
  double before = 3;
  for (int64_t m = 512; m < 1 << 24; m *= 2) {
    const double now = factor(nearby, linear(m, 512, 512));
    EXPECT_LT(now, before);
    EXPECT_GT(now, 1);
    before = now;
  }
}

// Rows and length of a longer layer are the rows of its product.
TEST(NearbyPieces, ALayerWithALengthIsLikeTheSameProduct) {
  const std::vector<MeasuredPiece> one = {measured(linear(8 * 128, 512, 256), 1.5)};
  const NearbyPieces nearby(one, some_roofline());
  const Piece layer = {.kind = OpKind::kLinear, .extents = {8, 128, 512, 256}};
  EXPECT_DOUBLE_EQ(factor(nearby, layer), factor(nearby, linear(8 * 128, 512, 256)));
}

}  // namespace
}  // namespace soapbox
