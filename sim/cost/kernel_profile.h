// KernelProfile: what is fitted about the kernels of one device, relative to its datasheet. How a
// time follows from it is said in kernel_costs.h; the files are scenarios/profiles/kernel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/units.h"

namespace soapbox {

// Products that share their figures: on fp32 units or on tensor units, alone, as a batch of equal
// ones in one kernel, or one per expert.
enum class GemmFamily : uint8_t {
  kFp32Linear,
  kFp32Batched,
  kTensorLinear,
  kTensorBatched,
  kTensorGrouped,
};
inline constexpr size_t kGemmFamilies = 5;
std::string to_string(GemmFamily family);  // "fp32_linear", ...

// A block of the result that one multiprocessor computes. Sides are powers of two.
struct GemmTile {
  int64_t m = 0;
  int64_t n = 0;
  double efficiency = 0;  // of the peak, with all waves full and k long
  friend bool operator==(const GemmTile&, const GemmTile&) = default;
};

// The 90 % interval of a time t is [t (1 - low), t (1 + high)].
struct Interval {
  double low = 0;
  double high = 0;
  friend bool operator==(const Interval&, const Interval&) = default;
};

// What the formula leaves over: a factor on the time, interpolated linearly between nodes at
// powers of two of batch, m, n and k, constant beyond the outermost ones.
struct FactorGrid {
  struct Axis {
    int first = 0;  // the first node is at 2^first, the next one at 2^(first + step)
    int step = 1;
    int count = 1;
    friend bool operator==(const Axis&, const Axis&) = default;
  };
  static constexpr size_t kAxes = 4;
  static constexpr std::array<std::string_view, kAxes> kAxisNames = {"batch", "m", "n", "k"};
  std::array<Axis, kAxes> axes;
  std::vector<double> factors;  // batch slowest, k fastest; empty: 1 everywhere

  size_t node_count() const;
  friend bool operator==(const FactorGrid&, const FactorGrid&) = default;
};

// The least and the largest of batch, m, n and k that were measured; 0: nothing was.
struct MeasuredRange {
  std::array<int64_t, FactorGrid::kAxes> low{};
  std::array<int64_t, FactorGrid::kAxes> high{};
  friend bool operator==(const MeasuredRange&, const MeasuredRange&) = default;
};

struct GemmFit {
  std::vector<GemmTile> tiles;
  double quantisation = 1;  // share of a last wave's idle part that is lost: 1 all, 0 none
  double ramp = 0;          // steps of k that filling and draining a block cost
  double unhidden = 0;      // share of the shorter of computing and moving that is not hidden
  double memory_efficiency = 1;
  int64_t max_split = 1;                   // of k: 1, 2, 4, ... up to this
  std::array<double, 3> role = {1, 1, 1};  // by GemmRole: factor on the time
  Duration launch;
  FactorGrid factor;
  FactorGrid unaligned;  // added to the factor where operands break sectors; empty: nothing
  Interval interval;
  MeasuredRange range;
  std::string fitted_on;  // a hardware id; empty: by datasheet
  friend bool operator==(const GemmFit&, const GemmFit&) = default;
};

// Fused attention, one pass.
struct AttentionFit {
  // Of the peak, at head dimensions 64, 128 and 192; linear in between.
  std::array<double, 3> efficiency{};
  double tail = 0;  // time in which the device empties, in units of its longest block
  Interval interval;
  std::string fitted_on;
  friend bool operator==(const AttentionFit&, const AttentionFit&) = default;
};

// Kernels that are bound by memory, one kind of them.
struct MemoryFit {
  double efficiency = 0;  // of the memory bandwidth
  Interval interval;
  std::string fitted_on;
  friend bool operator==(const MemoryFit&, const MemoryFit&) = default;
};

enum class MemoryFamily : uint8_t { kPass, kSoftmax, kEmbedding, kOptimizer };
inline constexpr size_t kMemoryFamilies = 4;
std::string to_string(MemoryFamily family);  // "pass", "softmax", ...

struct KernelProfile {
  std::string hardware;  // an id of the hardware catalogue
  std::string source;
  Duration launch;  // of kernels that are no products: from one short kernel to the next
  std::array<GemmFit, kGemmFamilies> gemm;
  AttentionFit attention_forward;
  AttentionFit attention_backward;
  std::array<MemoryFit, kMemoryFamilies> memory;
  friend bool operator==(const KernelProfile&, const KernelProfile&) = default;
};

// Round figures for a device that has only a datasheet.
KernelProfile datasheet_kernel_profile();

}  // namespace soapbox
