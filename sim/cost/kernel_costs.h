// KernelCosts: how long the kernels of a Transformer layer run on one device.
//
// A product (m x k)(k x n), `batch` times, in blocks of tm x tn, k cut into s parts:
//
//   w       = batch ceil(m / tm) ceil(n / tn) s / multiprocessors
//   waves   = w + quantisation (ceil(w) - w)
//   compute = waves (k / s + ramp) 2 tm tn multiprocessors / (efficiency peak)
//   moved   = (bytes + 2 s x result, for s > 1) / (memory efficiency x bandwidth)
//   run     = (max + unhidden min)(compute, moved) + launch, for s > 1
//   time    = launch + role x factor(batch, m, n, k) x run
//
// (a second kernel adds up the parts) with the fastest tile and s, because libraries choose by
// heuristics that aim at the same. Blocks that stick out over the edge, waves that are not full, a
// k that is too short and the sustained clock under full load (in the efficiency of the largest
// tile) are thus told apart by few figures; `factor` is a smooth correction that is fitted to what
// they leave over, 1 where nothing was measured. It is larger for operands whose rows break the 32
// byte sectors of memory. Every term but the factor grows with m, n, k and batch.
//
// Fused attention (Dao et al. 2022, 2023) multiplies 2 matrices forward and 5 backward (scores are
// computed again) over the pairs of query and key that are seen, in blocks of 128 queries forward
// and 128 keys backward:
//
//   compute = products 2 pairs head_dim batch / (efficiency(head_dim) peak)
//   tail    = tail x the longest block's share of the FLOPs, at one multiprocessor's speed
//   time    = launch + max(compute + tail, moved)
//
// Everything else moves bytes: time = launches x launch + bytes / (efficiency x bandwidth).
//
// tf32, fp8 and fp4 products use the fit of bf16 at their own peak and say that this is by
// datasheet. Complexity: O(tiles + splits) per product, tens of nanoseconds; nothing is allocated.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/base/result.h"
#include "sim/cluster/hardware.h"
#include "sim/cost/kernel.h"
#include "sim/cost/kernel_profile.h"

namespace soapbox {

// Immutable, and so safe to share between threads.
class KernelCosts {
 public:
  // `profile` is null for a device that has only a datasheet. Refuses hardware without a peak, a
  // bandwidth or multiprocessors, and a profile of other hardware.
  static Result<KernelCosts> make(const Hardware& hardware, const KernelProfile* profile);

  KernelTime time(const Kernel& kernel) const;

 private:
  static constexpr size_t kTypes = static_cast<size_t>(DataType::kInt64) + 1;

  struct TileRate {
    int m_shift = 0;
    int n_shift = 0;
    double block_flops = 0;  // of one wave and one step of k, divided by the efficiency
  };
  struct GemmModel {
    std::vector<TileRate> tiles;
    GemmFit fit;
    double seconds_per_byte = 0;
    double launch_seconds = 0;
    bool on_device = false;  // fitted to kernels of this very device
  };

  struct Estimate {
    double seconds = 0;
    Interval interval;
    Provenance provenance = Provenance::kDatasheet;
  };

  GemmModel gemm_model(const GemmFit& fit) const;
  GemmFamily family_of(const Kernel& kernel) const;
  Estimate gemm_time(const Kernel& kernel) const;
  Estimate attention_time(const Kernel& kernel) const;
  Estimate memory_time(const Kernel& kernel) const;
  double tiled_seconds(const GemmModel& model, const Kernel& kernel) const;

  std::array<GemmModel, kGemmFamilies> gemm_;
  AttentionFit attention_forward_;
  AttentionFit attention_backward_;
  std::array<MemoryFit, kMemoryFamilies> memory_;
  std::array<double, kTypes> seconds_per_flop_{};  // by DataType
  std::array<bool, kTypes> on_tensor_units_{};
  std::string hardware_;
  double seconds_per_byte_ = 0;
  double launch_seconds_ = 0;
  double sm_count_ = 1;
};

// The interval of a fit that is used for other hardware than it was made on.
Interval interval_elsewhere(const Interval& interval);

// The nodes around a product and their weights, which sum to 1. Logarithms are piecewise linear
// between powers of two, so that the result is the same on every machine.
struct GridPlace {
  static constexpr size_t kMost = size_t{1} << FactorGrid::kAxes;
  size_t corners = 1;
  std::array<size_t, kMost> nodes;
  std::array<double, kMost> weights;
  GridPlace() { nodes[0] = 0, weights[0] = 1; }  // the others are not looked at
};
GridPlace grid_place(const FactorGrid& grid, const Gemm& gemm);

// The factor of a grid at a product, 1 for an empty grid.
double grid_factor(const FactorGrid& grid, const Gemm& gemm);

// Whether rows of both operands are whole sectors of memory, so that no load takes one more.
bool in_whole_sectors(const Kernel& kernel);

}  // namespace soapbox
