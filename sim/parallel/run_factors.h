// RunFactors: what separates the sum of isolated kernels from a training step, as few physical
// figures. All neutral by default; fitted on rows of real runs marked for calibration
// (scenarios/validation).
#pragma once

#include "sim/base/units.h"
#include "sim/cost/kernel.h"

namespace soapbox {

struct RunFactors {
  double compute = 1;  // kernels of a step over the same kernels alone: clocks, caches, gaps
  // Besides, of matrix products: over what a profile of a device at another clock says; in fp8 and
  // fp4 over the share of the peak that bf16 reaches; of fused attention: of another generation.
  double product = 1;
  double narrow = 1;
  double attention = 1;
  double exchange = 1;  // exchanges that the step waits for, over the same alone
  // Time that a device's kernels take longer for each second that traffic of other layers' data
  // runs beside them.
  double overlap = 0;
  // What the host takes to issue one kernel or exchange: where it is slower than the device, the
  // device waits.
  Duration issue;
  Duration step_overhead;                    // per iteration: data loading, clipping, logging
  Bytes reserved = Bytes(int64_t{3} << 30);  // context, libraries, fragments: not for tensors

  // On the time of one kernel alone.
  double of(const Kernel& kernel) const {
    if (kernel.kind == KernelKind::kAttention) return compute * attention;
    if (kernel.kind != KernelKind::kGemm && kernel.kind != KernelKind::kGroupedGemm) {
      return compute;
    }
    return compute * product * (is_narrow(kernel.type) ? narrow : 1);
  }
  friend bool operator==(const RunFactors&, const RunFactors&) = default;
};

}  // namespace soapbox
