// The judge of certificates. It shares no code with the solver: of the module
// it uses instances and certificates as data, and proof_*.h.
//
// It adds up the plan's cost anew, derives the bound of every leaf from the
// instance, checks every entry, and that the leaves cover all bottlenecks and
// all strategies of a hub. What it derives must equal what the certificate
// says.
#pragma once

#include <cstdint>

#include "strategies/miqp/certificate.h"

namespace soapbox::miqp {

struct CertifyReport {
  bool proven = false;  // the plan is optimal, or there is none
  size_t leaves = 0;
  size_t intervals = 0;  // bounded by both ends
  size_t entries = 0;
  uint64_t labels = 0;  // partial paths or plans that entries and labels took
};

// Error: the first thing that does not hold. `most_labels` bounds the work.
// REQUIRES: validate(instance).
Result<CertifyReport> certify(const Instance& instance, const Certificate& certificate,
                              uint64_t most_labels = 20000000);

}  // namespace soapbox::miqp
