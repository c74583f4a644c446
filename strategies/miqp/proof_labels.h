// Whether no plan of an instance costs less than a bound, by enumeration: the
// check for graphs that are no path, or whose edges over layers matter through
// more than one layer. Part of the checker: nothing of the solver is used here.
//
// Layers are placed in topological order. Of two partial plans with the same
// stages and strategies of the layers that still have readers, and the same
// used stages, one is useless if the other is at most it in the sum, the
// bottleneck and every load that may still grow. A partial plan is dropped
// where
//
//   sum + least compute to come + (c - 1) max(bottleneck, ceil((p so far +
//   least compute to come) / stages)) >= bound.
#pragma once

#include <cstdint>

#include "strategies/miqp/certificate.h"

namespace soapbox::miqp {

enum class LabelVerdict : uint8_t {
  kHolds,
  kTooHigh,   // a plan costs less
  kTooLarge,  // more than `most_labels` partial plans
};

// REQUIRES: validate(instance), at most 64 stages. `labels` is increased by the
// partial plans that were made.
LabelVerdict check_by_labels(const Instance& instance, int64_t bound, uint64_t most_labels,
                             uint64_t& labels);

}  // namespace soapbox::miqp
