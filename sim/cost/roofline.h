// The roofline: how long a kernel runs on a device, from a few fitted figures of that device.
//
//   time = launch + min over tiles (max(compute, memory) + passes x memory)    for a product
//   time = launch + memory                                                     for a pass over
//   memory memory = bytes / (efficiency x bandwidth)
//
// `passes` counts what a product moves without overlap: transforms of Winograd's algorithm,
// gathering of windows, tails. So small transfers are slow because of the launch, and a piece that
// re-reads large operands pays for them even when it computes at full speed.
//
// Compute: the library cuts the result into tiles of tm x tn, each computed by one block over the
// whole of k (or 1/s of it, with a second pass that adds the s partial results). The device runs
// `sm_count` blocks at a time, so that
//
//   blocks  = batch ceil(m / tm) ceil(n / tn) s
//   compute = (ceil(blocks / sm_count) + latency) (ceil(k / s) + ramp) (1 + long_k(k))
//             2 tm tn / (efficiency peak / sm_count)
//
// `latency` (in waves) is what one block takes more when it has the multiprocessor to itself,
// `ramp` what filling the pipeline costs in steps of k. long_k rises linearly from 0 at k = 4096 to
// `long_k_penalty` at k = 32768 and stays: operands whose rows are that far apart miss caches and
// page tables (seen in the measured linear layers, which read both operands along k). The fastest
// tile and split count, because libraries choose by heuristics that aim at the same. A product that
// is narrow in m or n can also be streamed like a matrix-vector product, one operand element for
// each multiplication.
//
// So small pieces are slow for the reasons they are slow on a device: tiles that stick out over the
// edge, waves that are not full, a k that is too short, operands that are read again by every
// piece. Every tile and split count costs at least 1/d of the whole for a d-th of m, n or the
// batch, hence so does their minimum: cutting up an operator's output never makes the sum of its
// pieces cheaper.
//
// Complexity: O(tiles x splits) per product, a few tens of divisions.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/base/units.h"
#include "sim/cluster/hardware.h"
#include "sim/cost/work.h"

namespace soapbox {

struct Tile {
  int64_t m = 0;
  int64_t n = 0;
  double efficiency = 0;  // of the peak, with all waves full and k long; above 1 for Winograd
  double passes = 0;      // over operands and result, not hidden behind computing
  friend bool operator==(const Tile&, const Tile&) = default;
};

struct ProductShape {
  std::vector<Tile> tiles;
  double latency = 0;         // waves
  double ramp = 0;            // steps of k
  double long_k_penalty = 0;  // at k >= 32768
  int64_t max_split = 1;      // of k: 1, 2, 4, ... up to this
  friend bool operator==(const ProductShape&, const ProductShape&) = default;
};

// The fitted figures of a device, relative to its datasheet.
struct RooflineShape {
  Duration launch;
  double memory_efficiency = 0;
  std::array<ProductShape, kProductKinds> products;  // by ProductKind
  friend bool operator==(const RooflineShape&, const RooflineShape&) = default;
};

// Round figures for a device that has only a datasheet.
RooflineShape datasheet_shape();

class Roofline {
 public:
  Roofline() = default;
  Roofline(const RooflineShape& shape, const Hardware& hardware);

  // Seconds that the kernels of `work` run, launches apart.
  double run_seconds(const Work& work, DataType type) const;
  Duration launch_time(const Work& work) const;
  // One step of a product whose operands and result have `bytes`.
  double product_seconds(const Gemm& gemm, double bytes, ProductKind kind, DataType type) const;

 private:
  struct TileTime {
    int64_t m = 0;
    int64_t n = 0;
    double block_flops = 0;  // per step of k, divided by what the tile reaches of a multiprocessor
    double passes = 0;
  };
  struct ProductTime {
    std::vector<TileTime> tiles;
    double latency = 0;
    double ramp = 0;
    double long_k_penalty = 0;
    int64_t max_split = 1;
  };
  double tiled_seconds(const Gemm& gemm, const ProductTime& product, double per_flop, double memory,
                       double sum) const;

  std::array<ProductTime, kProductKinds> products_;
  std::array<double, 8> seconds_per_flop_{};  // by DataType
  double seconds_per_byte_ = 0;
  double sm_count_ = 1;
  Duration launch_;
};

}  // namespace soapbox
