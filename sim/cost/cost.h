// Costs: how long a piece of an operator runs on a device, and where that figure comes from.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "sim/base/ids.h"
#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/cluster/cluster.h"
#include "sim/cost/nearby_pieces.h"
#include "sim/cost/profile.h"
#include "sim/cost/work.h"
#include "sim/model/graph.h"

namespace soapbox {

struct OpCost {
  Duration forward;
  Duration backward_input;   // zero where no input gradient is needed
  Duration backward_weight;  // zero for operators without weights
  Provenance provenance = Provenance::kDatasheet;
  Duration backward() const { return backward_input + backward_weight; }
};

// The costs of one model on one cluster: immutable, pure, safe to share between threads.
//
// Every figure comes from a measured table where one covers the piece, else from the roofline
// (roofline.h) of the device's profile, else from the same roofline with datasheet figures.
//
// Anchors. Where the profile has the published one-device iteration time of this model, the
// roofline is scaled by ONE factor for the model and the hardware, so that a single device with the
// anchor's batch takes exactly that time: forward and backward of every operator, one update of
// every weight. The factor multiplies the time a kernel runs, not its launch, and no measured
// figure. A model without an anchor gets the geometric mean of the factors of those
// `reference_factors` it is told.
class Costs {
 public:
  // Profiles by hardware name; `profiles` may lack a device, which then falls back to its
  // datasheet.
  static Result<Costs> make(const Model& model, const Cluster& cluster,
                            const std::map<std::string, Profile>& profiles);

  OpCost op_cost(const Operator& op, const Extents& extents, HardwareId hardware) const;
  // One optimiser step (SGD: read gradient and weight, write weight) over `weights` bytes.
  Duration update(Bytes weights, HardwareId hardware) const;
  // Summing `inputs` buffers of `size` bytes each into one of them.
  Duration sum(Bytes size, size_t inputs, HardwareId hardware) const;
  // The worst provenance over all unsplit operators on any device, and one line that says what the
  // figures rest on. A piece can be worse: each OpCost states its own.
  Provenance provenance() const { return provenance_; }
  const std::string& provenance_text() const { return provenance_text_; }
  // What the roofline of this model is multiplied with on that hardware.
  double anchor_factor(HardwareId hardware) const { return devices_[hardware].factor; }

 private:
  struct DeviceCosts {
    Roofline roofline;
    std::shared_ptr<const MeasuredTable> table;  // may be null
    NearbyPieces nearby;
    double factor = 1.0;
    bool calibrated = false;
    DataType fitted_type = DataType::kFp32;  // products of another type rest on its datasheet peak
  };
  // One phase of a piece: a part that the factor leaves alone, and the roofline's running time.
  struct PhaseTime {
    Duration fixed;
    double run_seconds = 0;
    Provenance provenance = Provenance::kMeasured;  // also of no work at all
    Duration scaled(double factor) const { return fixed + from_seconds(factor * run_seconds); }
  };
  struct PieceTime {
    PhaseTime forward;
    PhaseTime backward_input;
    PhaseTime backward_weight;
  };
  static PhaseTime phase_time(const DeviceCosts& device, const Work& work, DataType type);
  static PieceTime piece_time(const DeviceCosts& device, const Operator& op,
                              const Extents& extents);
  static void use_measured(const MeasuredTable& table, const Operator& op, const Extents& extents,
                           PieceTime& time);
  static PhaseTime iteration_time(const DeviceCosts& device, const Model& model, int64_t batch);
  static Result<std::string> set_up(const Model& model, const Hardware& hardware,
                                    const Profile* profile, DeviceCosts& device);

  IdVector<HardwareId, DeviceCosts> devices_;
  Provenance provenance_ = Provenance::kMeasured;
  std::string provenance_text_;
};

}  // namespace soapbox
