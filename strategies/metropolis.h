// The Metropolis rule on relative differences, as a limit drawn before the simulation.
#pragma once

#include "sim/base/rng.h"
#include "sim/base/units.h"

namespace soapbox::strategies {

// -ln(u), to about 1e-15, from exactly rounded operations only: the same bits with every C library.
// REQUIRES: 0 < u <= 1.
double minus_log(double u);

// The slowest time that is accepted in place of `current`. With u uniform in (0, 1],
//     proposed <= current * (1 - ln(u) / beta)   if and only if
//     u <= exp(-beta * (proposed - current) / current),
// so a proposal is accepted with probability min(1, exp(-beta * (proposed - current) / current)).
// Known beforehand, the limit lets a simulation stop early. REQUIRES: current >= 0, beta > 0.
Duration metropolis_limit(Duration current, double beta, Rng& rng);

}  // namespace soapbox::strategies
