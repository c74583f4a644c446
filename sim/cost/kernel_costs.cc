#include "sim/cost/kernel_costs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "sim/base/str.h"

namespace soapbox {
namespace {

constexpr double kAttentionBlock = 128;
constexpr int64_t kSectorBytes = 32;

// What one octave outside the measured range adds to an interval, as a share of itself.
constexpr double kWiderPerOctave = 0.25;

// A fit to other hardware, or to another type, carries over less surely.
constexpr double kWiderElsewhere = 2;

double ceil_shift(int64_t value, int shift) {
  return static_cast<double>((value + (int64_t{1} << shift) - 1) >> shift);
}

// ceil for what is neither negative nor huge, without a call.
double ceiling(double value) {
  const auto whole = static_cast<double>(static_cast<int64_t>(value));
  return whole < value ? whole + 1 : whole;
}

// Base-2 logarithm of value >= 1, exact at powers of two and linear between them.
double octaves(int64_t value) {
  const int exponent = 63 - std::countl_zero(static_cast<uint64_t>(value));
  return exponent + static_cast<double>(value) / static_cast<double>(int64_t{1} << exponent) - 1;
}

std::array<int64_t, FactorGrid::kAxes> sides_of(const Gemm& gemm) {
  return {gemm.batch, gemm.m, gemm.n, gemm.k};
}

// How far a product lies outside what was measured, in octaves over all sides.
double octaves_outside(const MeasuredRange& range, const Gemm& gemm) {
  double outside = 0;
  const auto sides = sides_of(gemm);
  for (size_t axis = 0; axis < sides.size(); ++axis) {
    if (sides[axis] < range.low[axis]) outside += octaves(range.low[axis]) - octaves(sides[axis]);
    if (sides[axis] > range.high[axis]) {
      outside += octaves(sides[axis]) - octaves(range.high[axis]);
    }
  }
  return outside;
}

Interval widened(const Interval& interval, double factor) {
  return {std::min(0.95, interval.low * factor), interval.high * factor};
}

// Pairs of query and key that are seen; the last query sees all `keys`.
double seen_pairs(double queries, double keys, bool causal) {
  if (!causal) return queries * keys;
  const double masked = std::min(queries, keys);
  return queries * keys - masked * (masked - 1) / 2;
}

double head_dim_efficiency(const AttentionFit& fit, double head_dim) {
  const auto& e = fit.efficiency;
  if (head_dim <= 64) return e[0] * head_dim / 64;  // units work on 64 at a time
  if (head_dim <= 128) return e[0] + (e[1] - e[0]) * (head_dim - 64) / 64;
  return e[1] + (e[2] - e[1]) * (std::min(head_dim, 192.0) - 128) / 64;
}

double tensor_peak(DataType type, const Hardware& hardware) {
  const double half = std::max(hardware.bf16_peak.rate(), hardware.fp16_peak.rate());
  switch (type) {
    case DataType::kTf32:
      return hardware.tf32_peak.rate();
    case DataType::kBf16:
      return hardware.bf16_peak.rate();
    case DataType::kFp16:
      return hardware.fp16_peak.rate();
    case DataType::kFp8:
      return std::max(half, hardware.fp8_peak.rate());
    case DataType::kFp4:
      return std::max({half, hardware.fp8_peak.rate(), hardware.fp4_peak.rate()});
    default:
      return 0;
  }
}

}  // namespace

Interval interval_elsewhere(const Interval& interval) {
  return widened(interval, kWiderElsewhere);
}

GridPlace grid_place(const FactorGrid& grid, const Gemm& gemm) {
  const auto sides = sides_of(gemm);
  GridPlace place;
  for (size_t axis = 0; axis < sides.size(); ++axis) {
    const FactorGrid::Axis& at = grid.axes[axis];
    const double last = at.count - 1;
    const double node = std::clamp((octaves(sides[axis]) - at.first) / at.step, 0.0, last);
    const auto below = static_cast<size_t>(node);
    const double above = node - static_cast<double>(below);
    const auto count = static_cast<size_t>(at.count);
    for (size_t i = 0; i < place.corners; ++i) place.nodes[i] = place.nodes[i] * count + below;
    if (above == 0) continue;
    for (size_t i = 0; i < place.corners; ++i) {
      place.weights[i + place.corners] = place.weights[i] * above;
      place.nodes[i + place.corners] = place.nodes[i] + 1;
      place.weights[i] *= 1 - above;
    }
    place.corners *= 2;
  }
  return place;
}

double grid_factor(const FactorGrid& grid, const Gemm& gemm) {
  if (grid.factors.empty()) return 1;
  const GridPlace place = grid_place(grid, gemm);
  double factor = 0;
  for (size_t i = 0; i < place.corners; ++i) {
    factor += place.weights[i] * grid.factors[place.nodes[i]];
  }
  return factor;
}

// Rows lie along k forward (x W^T), of batches along k and n; those of dY W along k and n, of dY^T
// X along m and n.
bool in_whole_sectors(const Kernel& kernel) {
  const Gemm& gemm = kernel.gemm;
  const bool forward = kernel.role == GemmRole::kForward;
  const bool by_weight = gemm.batch == 1 || kernel.kind == KernelKind::kGroupedGemm;
  const int64_t first = kernel.role == GemmRole::kWeightGradient ? gemm.m : gemm.k;
  const int64_t second = forward && by_weight ? gemm.k : gemm.n;
  const int64_t sector = kSectorBytes / size_bytes(kernel.type);
  return first % sector == 0 && second % sector == 0;
}

Result<KernelCosts> KernelCosts::make(const Hardware& hardware, const KernelProfile* profile) {
  if (hardware.memory_bandwidth.rate() <= 0) {
    return bad_input(str_cat("hardware '", hardware.name, "' has no memory bandwidth"));
  }
  const double half = std::max(hardware.bf16_peak.rate(), hardware.fp16_peak.rate());
  if (hardware.fp32_peak.rate() <= 0 && half <= 0) {
    return bad_input(str_cat("hardware '", hardware.name, "' has no peak of any type"));
  }
  if (hardware.sm_count <= 0) {
    return bad_input(str_cat("hardware '", hardware.name, "' has no multiprocessors"));
  }
  if (profile != nullptr && profile->hardware != hardware.name) {
    return bad_input(
        str_cat("kernel profile of '", profile->hardware, "' is not one of '", hardware.name, "'"));
  }
  const KernelProfile datasheet = datasheet_kernel_profile();
  const KernelProfile& from = profile == nullptr ? datasheet : *profile;
  KernelCosts costs;
  costs.hardware_ = hardware.name;
  costs.sm_count_ = hardware.sm_count;
  costs.seconds_per_byte_ = 1 / hardware.memory_bandwidth.rate();
  costs.launch_seconds_ = from.launch.seconds();
  costs.attention_forward_ = from.attention_forward;
  costs.attention_backward_ = from.attention_backward;
  costs.memory_ = from.memory;
  // A device without fp32 units computes that type on what it has.
  const double fp32 = hardware.fp32_peak.rate() > 0 ? hardware.fp32_peak.rate() : half;
  for (size_t type = 0; type < kTypes; ++type) {
    const double tensor = tensor_peak(static_cast<DataType>(type), hardware);
    costs.on_tensor_units_[type] = tensor > fp32;
    costs.seconds_per_flop_[type] = 1 / std::max(fp32, tensor);
  }
  for (size_t family = 0; family < kGemmFamilies; ++family) {
    costs.gemm_[family] = costs.gemm_model(from.gemm[family]);
  }
  return costs;
}

KernelCosts::GemmModel KernelCosts::gemm_model(const GemmFit& fit) const {
  SOAPBOX_CHECK(!fit.tiles.empty(), "a fit needs a tile");
  GemmModel model;
  model.fit = fit;
  model.seconds_per_byte = seconds_per_byte_ / fit.memory_efficiency;
  model.launch_seconds = fit.launch.seconds();
  model.on_device = !fit.fitted_on.empty() && fit.fitted_on == hardware_;
  for (const GemmTile& tile : fit.tiles) {
    const auto m = static_cast<uint64_t>(tile.m);
    const auto n = static_cast<uint64_t>(tile.n);
    SOAPBOX_CHECK(std::has_single_bit(m) && std::has_single_bit(n),
                  "sides of a tile are powers of two");
    model.tiles.push_back({std::countr_zero(m), std::countr_zero(n),
                           2 * static_cast<double>(m * n) * sm_count_ / tile.efficiency});
  }
  return model;
}

GemmFamily KernelCosts::family_of(const Kernel& kernel) const {
  const bool tensor = on_tensor_units_[static_cast<size_t>(kernel.type)];
  const bool batched = kernel.gemm.batch > 1;
  if (!tensor) return batched ? GemmFamily::kFp32Batched : GemmFamily::kFp32Linear;
  if (kernel.kind == KernelKind::kGroupedGemm) return GemmFamily::kTensorGrouped;
  return batched ? GemmFamily::kTensorBatched : GemmFamily::kTensorLinear;
}

namespace {

double factor_of(const GemmFit& fit, const Kernel& kernel) {
  const double factor = grid_factor(fit.factor, kernel.gemm);
  if (fit.unaligned.factors.empty() || in_whole_sectors(kernel)) return factor;
  return factor + grid_factor(fit.unaligned, kernel.gemm);
}

}  // namespace

double KernelCosts::tiled_seconds(const GemmModel& model, const Kernel& kernel) const {
  const Gemm& gemm = kernel.gemm;
  const GemmFit& fit = model.fit;
  const double batch = static_cast<double>(gemm.batch);
  const double k = static_cast<double>(gemm.k);
  const double moved = kernel.bytes * model.seconds_per_byte;
  const double per_flop = seconds_per_flop_[static_cast<size_t>(kernel.type)];
  // One pass over a partial result, which is kept in fp32.
  const double pass = 4 * batch * static_cast<double>(gemm.m) * static_cast<double>(gemm.n) *
                      model.seconds_per_byte;
  double best = std::numeric_limits<double>::infinity();
  for (const TileRate& tile : model.tiles) {
    const double blocks =
        batch * ceil_shift(gemm.m, tile.m_shift) * ceil_shift(gemm.n, tile.n_shift);
    double before = 0;  // waves with half as many parts
    for (int64_t split = 1; split <= fit.max_split && split <= gemm.k && before < 1; split *= 2) {
      const double parts = static_cast<double>(split);
      const double w = blocks * parts / sm_count_;
      const double waves = w + fit.quantisation * (ceiling(w) - w);
      const double compute = waves * (k / parts + fit.ramp) * tile.block_flops * per_flop;
      const double moves = split == 1 ? moved : moved + 2 * parts * pass;
      const double launch = split == 1 ? 0 : model.launch_seconds;
      best = std::min(best,
                      std::max(compute, moves) + fit.unhidden * std::min(compute, moves) + launch);
      before = w;
    }
  }
  return best;
}

KernelCosts::Estimate KernelCosts::gemm_time(const Kernel& kernel) const {
  SOAPBOX_DCHECK(
      kernel.gemm.batch > 0 && kernel.gemm.m > 0 && kernel.gemm.n > 0 && kernel.gemm.k > 0,
      "a product has positive sides");
  const GemmModel& model = gemm_[static_cast<size_t>(family_of(kernel))];
  const double correction =
      model.fit.role[static_cast<size_t>(kernel.role)] * factor_of(model.fit, kernel);
  Estimate estimate;
  estimate.seconds = model.launch_seconds * static_cast<double>(kernel.launches) +
                     correction * tiled_seconds(model, kernel);
  estimate.interval = model.fit.interval;
  const bool same_type = kernel.type == DataType::kFp32 || kernel.type == DataType::kBf16 ||
                         kernel.type == DataType::kFp16;
  if (model.fit.fitted_on.empty()) return estimate;
  if (!same_type || !model.on_device) {
    estimate.interval = interval_elsewhere(estimate.interval);
    if (same_type) estimate.provenance = Provenance::kCalibratedRoofline;
    return estimate;
  }
  const double outside = octaves_outside(model.fit.range, kernel.gemm);
  if (outside > 0) {
    estimate.interval = widened(estimate.interval, 1 + kWiderPerOctave * outside);
    estimate.provenance = Provenance::kCalibratedRoofline;
  } else {
    estimate.provenance = Provenance::kInterpolated;
  }
  return estimate;
}

KernelCosts::Estimate KernelCosts::attention_time(const Kernel& kernel) const {
  const AttentionFit& fit = kernel.backward ? attention_backward_ : attention_forward_;
  const double queries = static_cast<double>(kernel.gemm.m);
  const double keys = static_cast<double>(kernel.gemm.n);
  const double head_dim = static_cast<double>(kernel.gemm.k);
  const double products = kernel.backward ? 5 : 2;
  // Per head and pair, at the speed of the whole device.
  const double per_pair = products * 2 * head_dim *
                          seconds_per_flop_[static_cast<size_t>(kernel.type)] /
                          head_dim_efficiency(fit, head_dim);
  const double pairs = seen_pairs(queries, keys, kernel.causal);
  // The longest block works on all that its queries (or, backward, keys) are paired with.
  const double longest = kernel.backward ? std::min(kAttentionBlock, keys) * queries
                                         : std::min(kAttentionBlock, queries) * keys;
  const double compute = per_pair * pairs * static_cast<double>(kernel.gemm.batch);
  const double tail = fit.tail * per_pair * std::min(longest, pairs) * sm_count_;
  const double moved = kernel.bytes * seconds_per_byte_ /
                       memory_[static_cast<size_t>(MemoryFamily::kPass)].efficiency;
  Estimate estimate;
  estimate.seconds =
      launch_seconds_ * static_cast<double>(kernel.launches) + std::max(compute + tail, moved);
  estimate.interval = fit.interval;
  if (!fit.fitted_on.empty()) {
    estimate.provenance = Provenance::kCalibratedRoofline;
    if (fit.fitted_on != hardware_) estimate.interval = interval_elsewhere(fit.interval);
  }
  return estimate;
}

KernelCosts::Estimate KernelCosts::memory_time(const Kernel& kernel) const {
  MemoryFamily family = MemoryFamily::kPass;
  if (kernel.kind == KernelKind::kSoftmax) family = MemoryFamily::kSoftmax;
  if (kernel.kind == KernelKind::kEmbedding) family = MemoryFamily::kEmbedding;
  if (kernel.kind == KernelKind::kOptimizer) family = MemoryFamily::kOptimizer;
  const MemoryFit& fit = memory_[static_cast<size_t>(family)];
  Estimate estimate;
  estimate.seconds = launch_seconds_ * static_cast<double>(kernel.launches) +
                     kernel.bytes * seconds_per_byte_ / fit.efficiency;
  estimate.interval = fit.interval;
  if (!fit.fitted_on.empty()) {
    estimate.provenance = Provenance::kCalibratedRoofline;
    if (fit.fitted_on != hardware_) estimate.interval = interval_elsewhere(fit.interval);
  }
  return estimate;
}

KernelTime KernelCosts::time(const Kernel& kernel) const {
  Estimate estimate;
  switch (kernel.kind) {
    case KernelKind::kGemm:
    case KernelKind::kGroupedGemm:
      estimate = gemm_time(kernel);
      estimate.seconds *= static_cast<double>(kernel.gemm.steps);
      break;
    case KernelKind::kAttention:
      estimate = attention_time(kernel);
      break;
    default:
      estimate = memory_time(kernel);
  }
  return {from_seconds(estimate.seconds), estimate.interval.low, estimate.interval.high,
          estimate.provenance};
}

}  // namespace soapbox
