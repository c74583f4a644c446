// The SOAP space of a model on a number of devices (FlexFlow, arXiv 1807.05358, section 4).
//
// A configuration of an operator is a degree for each of its divisible sample, attribute and
// parameter dimensions and a device for every resulting task. Degrees divide their dimension, so
// pieces are equal; their product, the number of tasks, is at most the number of devices. Degrees
// need not be powers of two, tasks may share a device, and devices may stay idle. Reduction
// dimensions are not in SOAP.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/rng.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"

namespace soapbox::strategies {

using Degrees = std::array<int32_t, kMaxDims>;

size_t product(const Degrees& degrees);

class SoapSpace {
 public:
  // Enumerates the degree vectors once per distinct list of dimensions: unrolled steps share
  // theirs.
  SoapSpace(const OpGraph& graph, size_t device_count);

  // The operators with something to decide, ascending: all but inputs, whose data is at hand on
  // every device, so that their configuration costs nothing.
  std::span<const OpId> operators() const { return operators_; }
  // All degree vectors of an operator, by number of tasks, then lexicographically; the first splits
  // nothing.
  std::span<const Degrees> degrees(OpId op) const { return shapes_[shape_of_[op]]; }
  // Operators of the same shape have the same degree vectors.
  size_t shape(OpId op) const { return shape_of_[op]; }
  size_t device_count() const { return device_count_; }

  // A random configuration: uniform over the degree vectors, and every task's device uniform over
  // all devices, independently.
  OpConfig draw(OpId op, Rng& rng) const;
  DeviceId draw_device(Rng& rng) const {
    return DeviceId(rng.below(static_cast<uint32_t>(device_count_)));
  }

 private:
  size_t device_count_;
  std::vector<OpId> operators_;
  IdVector<OpId, size_t> shape_of_;
  std::vector<std::vector<Degrees>> shapes_;
};

}  // namespace soapbox::strategies
