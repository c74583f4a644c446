// Costs: how long a piece of an operator runs on a device, and where that figure comes from.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/cluster/cluster.h"
#include "sim/model/graph.h"

namespace soapbox {

// From best to worst.
enum class Provenance : uint8_t { kMeasured, kInterpolated, kCalibratedRoofline, kDatasheet };
std::string to_string(Provenance provenance);

struct OpCost {
  Duration forward;
  Duration backward_input;   // zero where no input gradient is needed
  Duration backward_weight;  // zero for operators without weights
  Provenance provenance = Provenance::kDatasheet;
  Duration backward() const { return backward_input + backward_weight; }
};

using Extents = std::array<int64_t, kMaxDims>;  // of a piece, per iteration dimension

// A matrix product as cost models see it: batch x (m x k) (k x n).
struct Gemm {
  int64_t batch = 1;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
};
// The product a piece amounts to; m = 0 for operators that are bound by memory alone.
Gemm gemm_of(const Operator& op, const Extents& extents);

// The costs of one model on one cluster: immutable, pure, safe to share between threads.
// Every figure comes from a measured table where one covers the piece, else from the calibrated
// roofline of the device's profile, scaled by the anchors (published one-device iteration times of
// whole models) where the profile has them, else from the datasheet.
class Costs {
 public:
  // Profiles by hardware name; `profiles` may lack a device, which then falls back to its datasheet.
  static Result<Costs> make(const Model& model, const Cluster& cluster,
                            const std::map<std::string, Profile>& profiles);

  OpCost op_cost(const Operator& op, const Extents& extents, HardwareId hardware) const;
  // One optimiser step (SGD: read gradient and weight, write weight) over `weights` bytes.
  Duration update(Bytes weights, HardwareId hardware) const;
  // Summing `inputs` buffers of `size` bytes each into one of them.
  Duration sum(Bytes size, size_t inputs, HardwareId hardware) const;
  // The worst provenance over all operators, and one line that says what it rests on.
  Provenance provenance() const;
  std::string provenance_text() const;
};

}  // namespace soapbox
