#include "sim/cost/cost.h"

#include <algorithm>
#include <utility>

#include "sim/base/str.h"

namespace soapbox {
namespace {

Duration scaled(const Roofline& roofline, const Work& work, DataType type, double factor) {
  return roofline.launch_time(work) + from_seconds(factor * roofline.run_seconds(work, type));
}

// The whole iteration space of an operator at another global batch: the sample dimension scales.
Extents whole_extents(const Operator& op, int64_t batch, int64_t model_batch) {
  Extents extents = {1, 1, 1, 1, 1, 1};
  for (size_t dim = 0; dim < op.dims.size(); ++dim) {
    extents[dim] = op.dims[dim].size;
    if (op.dims[dim].dim_class == DimClass::kSample && dim == 0) {
      extents[dim] = std::max<int64_t>(1, extents[dim] * batch / model_batch);
    }
  }
  return extents;
}

// One iteration of the model on one device, launches and running time apart.
struct IterationTime {
  Duration launch;
  double run_seconds = 0;
  void add(const Roofline& roofline, const Work& work, DataType type) {
    launch += roofline.launch_time(work);
    run_seconds += roofline.run_seconds(work, type);
  }
};

IterationTime iteration_on_one_device(const Model& model, const Roofline& roofline, int64_t batch) {
  IterationTime time;
  for (const Operator& op : model.graph.ops()) {
    const PieceWork work = work_of(op, whole_extents(op, batch, model.batch));
    time.add(roofline, work.forward, op.type);
    time.add(roofline, work.backward_input, op.type);
    time.add(roofline, work.backward_weight, op.type);
  }
  for (const Weight& weight : model.graph.weights()) {
    time.add(roofline, update_work(weight.size().as_double()), weight.type);
  }
  return time;
}

}  // namespace

std::string to_string(Provenance provenance) {
  switch (provenance) {
    case Provenance::kMeasured:
      return "measured";
    case Provenance::kInterpolated:
      return "interpolated";
    case Provenance::kCalibratedRoofline:
      return "calibrated roofline";
    case Provenance::kDatasheet:
      return "datasheet";
  }
  return "unknown";
}

Result<Costs> Costs::make(const Model& model, const Cluster& cluster,
                          const std::map<std::string, Profile>& profiles) {
  Costs costs;
  std::vector<std::string> texts;
  costs.provenance_ = Provenance::kMeasured;
  for (const Hardware& hardware : cluster.hardware()) {
    const auto found = profiles.find(hardware.name);
    DeviceCosts device;
    std::string text;
    if (found == profiles.end()) {
      device.roofline = Roofline(datasheet_shape(), hardware);
      text = str_cat(hardware.name, ": roofline of the datasheet (", hardware.source, ")");
    } else {
      const Profile& profile = found->second;
      device.roofline = Roofline(profile.shape, hardware);
      device.provenance = Provenance::kCalibratedRoofline;
      device.factor = profile.unanchored_scale;
      text = str_cat(hardware.name, ": calibrated roofline (", profile.source, "), ");
      const auto anchor = std::find_if(profile.anchors.begin(), profile.anchors.end(),
                                       [&](const Anchor& a) { return a.model == model.name; });
      if (anchor != profile.anchors.end()) {
        const IterationTime time = iteration_on_one_device(model, device.roofline, anchor->batch);
        if (time.launch >= anchor->iteration_time || time.run_seconds <= 0) {
          return bad_input(str_cat("anchor of model '", model.name, "' on ", hardware.name, " is ",
                                   anchor->iteration_time.seconds(),
                                   " s, less than the launches alone take: ", time.launch.seconds(),
                                   " s"));
        }
        device.factor = (anchor->iteration_time - time.launch).seconds() / time.run_seconds;
        text += str_cat("anchored by a factor ", device.factor, " to ", anchor->source);
      } else {
        text += str_cat("no anchor for ", model.name, ": scaled by ", device.factor,
                        ", the geometric mean of the anchored models");
      }
    }
    costs.provenance_ = std::max(costs.provenance_, device.provenance);
    texts.push_back(std::move(text));
    costs.devices_.push_back(std::move(device));
  }
  costs.provenance_text_ = join(texts, "; ");
  return costs;
}

OpCost Costs::op_cost(const Operator& op, const Extents& extents, HardwareId hardware) const {
  const DeviceCosts& device = devices_[hardware];
  const PieceWork work = work_of(op, extents);
  OpCost cost;
  cost.forward = scaled(device.roofline, work.forward, op.type, device.factor);
  cost.backward_input = scaled(device.roofline, work.backward_input, op.type, device.factor);
  cost.backward_weight = scaled(device.roofline, work.backward_weight, op.type, device.factor);
  cost.provenance = device.provenance;
  return cost;
}

Duration Costs::update(Bytes weights, HardwareId hardware) const {
  const DeviceCosts& device = devices_[hardware];
  return scaled(device.roofline, update_work(weights.as_double()), DataType::kFp32, device.factor);
}

Duration Costs::sum(Bytes size, size_t inputs, HardwareId hardware) const {
  const DeviceCosts& device = devices_[hardware];
  const Work work = sum_work(size.as_double(), static_cast<int64_t>(inputs));
  return scaled(device.roofline, work, DataType::kFp32, device.factor);
}

}  // namespace soapbox
