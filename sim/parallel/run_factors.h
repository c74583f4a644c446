// RunFactors: what separates the sum of isolated kernels from a training step, as few physical
// figures. All neutral by default; fitted on rows of real runs marked for calibration
// (scenarios/validation).
#pragma once

#include "sim/base/units.h"

namespace soapbox {

struct RunFactors {
  double compute = 1;   // kernels of a step over the same kernels alone: clocks, caches, gaps
  double exchange = 1;  // exchanges that the step waits for, over the same alone
  // Time that a device's kernels take longer for each second that traffic of other layers' data
  // runs beside them.
  double overlap = 0;
  Duration layer_overhead;                   // per layer and pass: what the host cannot hide
  Duration step_overhead;                    // per iteration: data loading, clipping, logging
  Bytes reserved = Bytes(int64_t{3} << 30);  // context, libraries, fragments: not for tensors
  friend bool operator==(const RunFactors&, const RunFactors&) = default;
};

inline Duration scaled(Duration duration, double factor) {
  return from_seconds(duration.seconds() * factor);
}

}  // namespace soapbox
