// Whether a certificate's entry holds: no path through its layers within memory
// is below its value. Part of the checker: nothing of the solver is used here.
//
// One bound by the entry's multiplier often is enough. Otherwise partial paths
// are extended layer by layer, without those that another is at most in every
// cost, and without those whose completion is too long, too large or, by the
// multiplier, both.
#pragma once

#include "strategies/miqp/proof_costs.h"

namespace soapbox::miqp {

enum class EntryVerdict : uint8_t {
  kHolds,
  kTooHigh,   // a shorter path fits
  kTooLarge,  // more than `most_labels` partial paths
};

// `labels` is increased by the partial paths that were made. REQUIRES: the
// entry's interval, strategies and multiplier are in range.
EntryVerdict check_entry(const ProofCosts& costs, size_t group, int64_t shift,
                         const ProofEntry& entry, uint64_t most_labels, uint64_t& labels);

}  // namespace soapbox::miqp
