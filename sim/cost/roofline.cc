#include "sim/cost/roofline.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace soapbox {
namespace {

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

double product_of(int64_t a, int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

// The peak a type runs at: its own units where the device has them, else those of fp32.
double peak_of(DataType type, const Hardware& hardware) {
  FlopsPerSecond peak = hardware.fp32_peak;
  if (type == DataType::kTf32) peak = std::max(peak, hardware.tf32_peak);
  if (type == DataType::kBf16) peak = std::max(peak, hardware.bf16_peak);
  if (type == DataType::kFp16) peak = std::max(peak, hardware.fp16_peak);
  if (is_narrow(type)) {
    peak = std::max({peak, hardware.bf16_peak, hardware.fp16_peak, hardware.fp8_peak});
  }
  if (type == DataType::kFp4) peak = std::max(peak, hardware.fp4_peak);
  return peak.rate();
}

}  // namespace

RooflineShape datasheet_shape() {
  const ProductShape product{
      {{128, 128, 0.8, 0.1}, {64, 64, 0.65, 0.1}, {32, 32, 0.4, 0.1}}, 0.5, 16, 0, 8};
  RooflineShape shape;
  shape.launch = microseconds(5);
  shape.memory_efficiency = 0.8;
  shape.products = {product, product, product, product};
  return shape;
}

Roofline::Roofline(const RooflineShape& shape, const Hardware& hardware) : launch_(shape.launch) {
  SOAPBOX_CHECK(hardware.fp32_peak.rate() > 0 && hardware.memory_bandwidth.rate() > 0 &&
                    hardware.sm_count > 0 && shape.memory_efficiency > 0,
                "a roofline needs a peak, a bandwidth and multiprocessors");
  for (size_t type = 0; type <= static_cast<size_t>(DataType::kInt64); ++type) {
    seconds_per_flop_[type] = 1.0 / peak_of(static_cast<DataType>(type), hardware);
  }
  seconds_per_byte_ = 1.0 / (hardware.memory_bandwidth.rate() * shape.memory_efficiency);
  sm_count_ = hardware.sm_count;
  for (size_t kind = 0; kind < kProductKinds; ++kind) {
    const ProductShape& from = shape.products[kind];
    ProductTime& to = products_[kind];
    to.latency = from.latency;
    to.ramp = from.ramp;
    to.long_k_penalty = from.long_k_penalty;
    to.max_split = from.max_split;
    for (const Tile& tile : from.tiles) {
      const double block_flops = 2.0 * product_of(tile.m, tile.n) * sm_count_ / tile.efficiency;
      to.tiles.push_back({tile.m, tile.n, block_flops, tile.passes});
    }
  }
}

// `memory`: one pass over operands and result; `sum`: one over a partial result.
double Roofline::tiled_seconds(const Gemm& gemm, const ProductTime& product, double per_flop,
                               double memory, double sum) const {
  constexpr double kShort = 4096;
  constexpr double kLong = 32768;
  const double excess =
      std::clamp((static_cast<double>(gemm.k) - kShort) / (kLong - kShort), 0.0, 1.0);
  const double slow_down = (1 + product.long_k_penalty * excess) * per_flop;
  double best = std::numeric_limits<double>::infinity();
  for (const TileTime& tile : product.tiles) {
    const double blocks = product_of(ceil_div(gemm.m, tile.m), ceil_div(gemm.n, tile.n)) *
                          static_cast<double>(gemm.batch);
    const double moved = tile.passes * memory;
    for (int shift = 0; (int64_t{1} << shift) <= product.max_split; ++shift) {
      const int64_t split = int64_t{1} << shift;
      if (split > gemm.k) break;
      const double parts = static_cast<double>(split);
      const double depth = static_cast<double>((gemm.k + split - 1) >> shift) + product.ramp;
      const double waves = std::ceil(blocks * parts / sm_count_) + product.latency;
      const double compute = waves * depth * tile.block_flops * slow_down;
      const double sums = shift == 0 ? 0 : 2 * parts * sum;
      best = std::min(best, std::max(compute, memory) + moved + sums);
    }
  }
  return best;
}

double Roofline::product_seconds(const Gemm& gemm, double bytes, ProductKind kind,
                                 DataType type) const {
  if (gemm.m <= 0 || gemm.n <= 0 || gemm.k <= 0) return 0;
  const double per_element = seconds_per_byte_ * static_cast<double>(size_bytes(type));
  const double result = product_of(gemm.m, gemm.n) * static_cast<double>(gemm.batch);
  const double streamed = result * static_cast<double>(gemm.k) * per_element;
  const double memory = bytes * seconds_per_byte_;
  const double tiled =
      tiled_seconds(gemm, products_[static_cast<size_t>(kind)],
                    seconds_per_flop_[static_cast<size_t>(type)], memory, result * per_element);
  return std::min(std::max(streamed, memory), tiled);
}

double Roofline::run_seconds(const Work& work, DataType type) const {
  if (work.kernels == 0) return 0;
  double seconds = work.stream_bytes * seconds_per_byte_;
  if (work.product.m > 0) {
    const double products = static_cast<double>(work.products);
    seconds +=
        products * product_seconds(work.product, work.product_bytes / products, work.kind, type);
  }
  return seconds * static_cast<double>(work.product.steps);
}

Duration Roofline::launch_time(const Work& work) const {
  return launch_ * (work.kernels * work.product.steps);
}

}  // namespace soapbox
