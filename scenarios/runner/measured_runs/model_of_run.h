// The Transformer stack that a measured run trains.
//
// Its name gives the shape from the table of stacks, or at least the family (gpt, llama, mpt, ...);
// what the run states of its sizes comes before that, and what nobody states is assumed aloud.
#pragma once

#include "scenarios/runner/measured_runs/assumptions.h"
#include "scenarios/runner/measured_runs/measured_run.h"
#include "sim/base/result.h"
#include "sim/model/transformer.h"

namespace soapbox::runner {

// Error: why there is no such stack: an unknown name, a model that is no Transformer, sizes that
// are missing or do not fit each other.
Result<Transformer> model_of_run(const MeasuredRun& run, Assumptions& assumptions);

// Whether the run trains adapters beside frozen weights, by its model's name or its notes.
bool trains_adapters(const MeasuredRun& run);

}  // namespace soapbox::runner
