// The options that describe the plan of a Transformer, and the recipes that fill in the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/runner/options.h"
#include "sim/base/result.h"
#include "sim/plan/parallel_plan.h"

namespace soapbox::runner {

// What a recipe says where the command line does not.
struct ParallelRecipe {
  std::string_view name;
  std::string_view summary;
  int32_t zero_stage = 0;
};
std::span<const ParallelRecipe> parallel_recipe_table();  // sorted by name
// Null: no such recipe.
const ParallelRecipe* find_parallel_recipe(std::string_view name);

inline constexpr int64_t kMostDegree = 1 << 20;  // of any kind of parallelism

// --tp, --pp and their relatives; and --seq-len and --global-batch, which are no part of a plan.
std::vector<Option> parallel_options();

// --expert-imbalance.
Result<double> read_expert_imbalance(const Arguments& arguments);

// Options that are on or off, and where the plan has them: --flash-attention and the overlaps.
struct PlanSwitch {
  std::string_view name;
  bool ParallelPlan::*field;
};
std::span<const PlanSwitch> plan_switches();

// --fold on|off; --run-factors on|off.
Result<bool> read_fold(const Arguments& arguments);
Result<bool> read_run_factors(const Arguments& arguments);

struct ParallelPlanChoice {
  ParallelPlan plan;
  int64_t global_batch = 0;  // samples of an iteration
};

// The plan that the options mean on so many devices. Error: options that contradict each other,
// the model or the devices; the message names the option, its value and what is allowed.
Result<ParallelPlanChoice> read_parallel_plan(const Arguments& arguments,
                                              const ParallelRecipe& recipe,
                                              const Transformer& model, int64_t devices);

}  // namespace soapbox::runner
