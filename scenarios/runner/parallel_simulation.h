// soapbox simulate with a recipe for Transformers: a stack laid over a cluster.
#pragma once

#include "scenarios/runner/commands.h"
#include "scenarios/runner/options.h"
#include "sim/base/result.h"

namespace soapbox::runner {

// REQUIRES: the recipe is one of parallel_recipe_table().
Result<CommandResult> run_parallel_simulation(const Arguments& arguments, const Console& console);

}  // namespace soapbox::runner
