// A profile in Galvatron's form of layers and links that exist in the simulator only: what its
// profiler would have measured on them.
#pragma once

#include "sim/parallel/simulate_parallel.h"
#include "strategies/galvatron/galvatron2.h"
#include "strategies/uniap/transformer_costs.h"

namespace soapbox::strategies::uniap {

// Forward times of 1 to 8 samples on one device, as lines; memory by tensor-parallel degree; bus
// bandwidths at the sizes of the published profiles: 64 MiB collectives, 128 MiB between stages.
// Runs of equal layers are the types. REQUIRES: first and last layer are embedding and head.
galvatron::Galvatron2Profile simulated_profile(const ParallelProblem& problem,
                                               const TransformerCosts& costs);

}  // namespace soapbox::strategies::uniap
