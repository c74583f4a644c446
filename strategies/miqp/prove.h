// From a solver's answer to a certificate that anyone can check (certify.h).
//
// With the answer known, its proof is smaller than the search for it: from the
// largest bottleneck that could matter down to 0, the checker's own bounds close
// what they can. Where they do not, intervals that may be part of a plan below
// the answer get bounds by both ends, and then the cells on the path that is too
// cheap are made exact by the solver's shortest paths, until they do.
#pragma once

#include "strategies/miqp/certificate.h"
#include "strategies/miqp/solution.h"

namespace soapbox::miqp {

// The certificate of an answer; where the answer is not proven, of its bound or
// of as much of it as can be shown. `bound`: show this much only, without the
// plan (0: all of it). Error: no certificate could be made, and why.
// REQUIRES: validate(instance), and the answer is the instance's.
Result<Certificate> prove(const Instance& instance, const Solution& solution, int64_t bound = 0);

}  // namespace soapbox::miqp
