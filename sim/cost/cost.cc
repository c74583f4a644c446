#include "sim/cost/cost.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "sim/base/str.h"
#include "sim/cost/measured_table.h"

namespace soapbox {
namespace {

constexpr double kSecondsPerDay = 86'400;
// Of one device that does everything. Simulated time reaches 106 days: ten times as long, for what
// splits add and for transfers.
constexpr double kMostDays = 10;

// The whole iteration space of an operator at another global batch: its sample dimension scales.
Extents whole_extents(const Operator& op, int64_t batch, int64_t model_batch) {
  Extents extents = {1, 1, 1, 1, 1, 1};
  for (size_t dim = 0; dim < op.dims.size(); ++dim) extents[dim] = op.dims[dim].size;
  if (!op.dims.empty() && op.dims[0].dim_class == DimClass::kSample) {
    extents[0] = std::max<int64_t>(1, extents[0] * batch / model_batch);
  }
  return extents;
}

}  // namespace

bool Anchor::covers(const std::string& name) const {
  return name == model || std::find(variants.begin(), variants.end(), name) != variants.end();
}

Costs::PhaseTime Costs::phase_time(const DeviceCosts& device, const Work& work, DataType type) {
  PhaseTime time;
  if (work.kernels == 0) return time;
  time.fixed = device.roofline.launch_time(work);
  time.run_seconds = device.roofline.run_seconds(work, type);
  const bool fitted = device.calibrated && (work.product.m == 0 || type == device.fitted_type);
  time.provenance = fitted ? Provenance::kCalibratedRoofline : Provenance::kDatasheet;
  return time;
}

// Replaces what the table knows. A time of both gradients together is divided as the roofline
// divides it; their sum is what was measured.
void Costs::use_measured(const MeasuredTable& table, const Operator& op, const Extents& extents,
                         PieceTime& time) {
  const auto known = [&](Phase phase) { return table.find(op, extents, phase); };
  const auto replace = [](PhaseTime& phase, Duration with, bool interpolated) {
    phase = {with, 0, interpolated ? Provenance::kInterpolated : Provenance::kMeasured};
  };
  if (const auto forward = known(Phase::kForward)) {
    replace(time.forward, forward->time, forward->interpolated);
  }
  const double input_seconds = time.backward_input.scaled(1).seconds();
  const double weight_seconds = time.backward_weight.scaled(1).seconds();
  if (const auto both = known(Phase::kBackward); both && input_seconds + weight_seconds > 0) {
    const double share = input_seconds / (input_seconds + weight_seconds);
    const Duration input = from_seconds(share * both->time.seconds());
    if (input_seconds > 0) replace(time.backward_input, input, both->interpolated);
    if (weight_seconds > 0) {
      replace(time.backward_weight, both->time - input, both->interpolated);
    }
  }
  const auto to_input = known(Phase::kBackwardInput);
  if (to_input && input_seconds > 0) {
    replace(time.backward_input, to_input->time, to_input->interpolated);
  }
  const auto to_weight = known(Phase::kBackwardWeight);
  if (to_weight && weight_seconds > 0) {
    replace(time.backward_weight, to_weight->time, to_weight->interpolated);
  }
}

Costs::PieceTime Costs::piece_time(const DeviceCosts& device, const Operator& op,
                                   const Extents& extents) {
  const PieceWork work = work_of(op, extents);
  const auto corrected = [&](const Work& part, Phase phase) {
    const PhaseTime time = phase_time(device, part, op.type);
    const double factor = device.nearby.factor(op, phase, part);
    if (factor == 1) return time;
    return PhaseTime{scaled(time.fixed, factor), factor * time.run_seconds, time.provenance};
  };
  PieceTime time = {corrected(work.forward, Phase::kForward),
                    corrected(work.backward_input, Phase::kBackwardInput),
                    corrected(work.backward_weight, Phase::kBackwardWeight)};
  if (device.table != nullptr) use_measured(*device.table, op, extents, time);
  return time;
}

// One iteration of the model on one device: forward, backward, update of every weight.
Costs::PhaseTime Costs::iteration_time(const DeviceCosts& device, const Model& model,
                                       int64_t batch) {
  PhaseTime sum;
  const auto add = [&](const PhaseTime& phase) {
    sum.fixed += phase.fixed;
    sum.run_seconds += phase.run_seconds;
    sum.provenance = std::max(sum.provenance, phase.provenance);
  };
  for (const Operator& op : model.graph.ops()) {
    const PieceTime time = piece_time(device, op, whole_extents(op, batch, model.batch));
    add(time.forward);
    add(time.backward_input);
    add(time.backward_weight);
  }
  for (const Weight& weight : model.graph.weights()) {
    add(phase_time(device, update_work(weight.gradient_size().as_double()), weight.type));
  }
  return sum;
}

Result<std::string> Costs::set_up(const Model& model, const Hardware& hardware,
                                  const Profile* profile, DeviceCosts& device) {
  if (profile == nullptr) {
    device.roofline = Roofline(datasheet_shape(), hardware);
    return str_cat(hardware.name, ": datasheet roofline, no profile");
  }
  device.roofline = Roofline(profile->shape, hardware);
  device.calibrated = true;
  device.fitted_type = profile->fitted_type;
  device.factor = profile->unanchored_scale;
  device.table = profile->table;
  if (profile->nearby && device.table != nullptr) {
    device.nearby = NearbyPieces(device.table->pieces(), device.roofline);
  }
  std::string text = str_cat(hardware.name, ": ", profile->source);
  if (device.table != nullptr) text += str_cat("; ", device.table->size(), " measured pieces");
  const auto anchor = std::find_if(profile->anchors.begin(), profile->anchors.end(),
                                   [&](const Anchor& a) { return a.covers(model.name); });
  if (profile->anchors.empty()) return text + "; no anchors";
  if (anchor == profile->anchors.end()) {
    return text + str_cat("; ", model.name, " has no anchor, scaled by ", device.factor,
                          ", the geometric mean of the anchored models");
  }
  const PhaseTime time = iteration_time(device, model, anchor->batch);
  if (time.fixed >= anchor->iteration_time || time.run_seconds <= 0) {
    return bad_input(str_cat("anchor of ", model.name, " on ", hardware.name, ": ",
                             anchor->iteration_time.seconds(), " s, but launches and measured ",
                             "pieces alone take ", time.fixed.seconds(), " s"));
  }
  device.factor = (anchor->iteration_time - time.fixed).seconds() / time.run_seconds;
  return text + str_cat("; ", model.name, " scaled by ", device.factor, " to ",
                        anchor->iteration_time.seconds(), " s at batch ", anchor->batch, " (",
                        anchor->source, ")");
}

Result<Costs> Costs::make(const Model& model, const Cluster& cluster,
                          const std::map<std::string, Profile>& profiles) {
  Costs costs;
  std::vector<std::string> texts;
  for (const Hardware& hardware : cluster.hardware()) {
    const auto found = profiles.find(hardware.name);
    DeviceCosts device;
    Result<std::string> text =
        set_up(model, hardware, found == profiles.end() ? nullptr : &found->second, device);
    if (!text) return text.error();
    texts.push_back(*std::move(text));
    const PhaseTime whole = iteration_time(device, model, model.batch);
    const double days =
        (whole.fixed.seconds() + device.factor * whole.run_seconds) / kSecondsPerDay;
    if (days > kMostDays) {
      return bad_input(str_cat("an iteration of ", model.name, " with batch ", model.batch,
                               " takes one ", hardware.name, " ", std::ceil(days),
                               " days; allowed: ", kMostDays));
    }
    costs.provenance_ = std::max(costs.provenance_, whole.provenance);
    costs.devices_.push_back(std::move(device));
  }
  costs.provenance_text_ = join(texts, "; ");
  return costs;
}

OpCost Costs::op_cost(const Operator& op, const Extents& extents, HardwareId hardware) const {
  const DeviceCosts& device = devices_[hardware];
  const PieceTime time = piece_time(device, op, extents);
  OpCost cost;
  cost.forward = time.forward.scaled(device.factor);
  cost.backward_input = time.backward_input.scaled(device.factor);
  cost.backward_weight = time.backward_weight.scaled(device.factor);
  cost.provenance = std::max(
      {time.forward.provenance, time.backward_input.provenance, time.backward_weight.provenance});
  return cost;
}

Duration Costs::update(Bytes weights, HardwareId hardware) const {
  const DeviceCosts& device = devices_[hardware];
  const Work work = update_work(weights.as_double());
  return phase_time(device, work, DataType::kFp32).scaled(device.factor);
}

Duration Costs::sum(Bytes size, size_t inputs, HardwareId hardware) const {
  const DeviceCosts& device = devices_[hardware];
  const Work work = sum_work(size.as_double(), static_cast<int64_t>(inputs));
  return phase_time(device, work, DataType::kFp32).scaled(device.factor);
}

}  // namespace soapbox
