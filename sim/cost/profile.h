// What is known about one kind of device: the figures of its roofline and where they come from, the
// anchors, and its measured table. Written down in scenarios/profiles.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/provenance.h"
#include "sim/base/units.h"
#include "sim/cost/roofline.h"
#include "sim/model/op.h"

namespace soapbox {

class MeasuredTable;

// A published iteration time of a whole model on one such device.
struct Anchor {
  std::string model;
  std::vector<std::string> variants;  // other graphs of the same iteration ("nmt_steps")
  int64_t batch = 0;
  Duration iteration_time;
  std::string source;

  bool covers(const std::string& name) const;
};

struct Profile {
  std::string hardware;   // an id of the hardware catalogue
  std::string source;     // what the profile rests on, in one line
  std::string fitted_on;  // the hardware whose kernels gave the shape, perhaps another one
  DataType fitted_type = DataType::kFp32;
  std::string fit_source;  // and where those measurements come from
  RooflineShape shape;
  std::vector<Anchor> anchors;
  double unanchored_scale = 1.0;  // for other models: geometric mean of the anchored ones' factors
  std::shared_ptr<const MeasuredTable> table;  // null: nothing measured
  bool nearby = false;  // whether the table's pieces also correct the roofline (nearby_pieces.h)
};

}  // namespace soapbox
