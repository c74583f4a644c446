// soapbox simulate with a recipe for Transformers: a stack laid over a cluster.
#pragma once

#include <optional>
#include <string>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/options.h"
#include "sim/base/result.h"

namespace soapbox::runner {

// What --plan names, as it was read.
struct PlanFile {
  std::string path;
  std::string text;
};

// REQUIRES: without a file, the recipe is one of parallel_recipe_table().
Result<CommandResult> run_parallel_simulation(const Arguments& arguments,
                                              const std::optional<PlanFile>& file,
                                              const Console& console);

}  // namespace soapbox::runner
