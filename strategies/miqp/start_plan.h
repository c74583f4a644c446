// Good plans before any proof, and the multipliers that suit an instance's
// memory.
//
// For a multiplier of memory, the shortest path through all layers by time +
// lambda memory gives every layer a strategy; stages are then cut by an exact
// dynamic program under a few thresholds on the bottleneck. Time O(lambdas
// (layers strategies^2 + stages layers^2)).
#pragma once

#include <optional>
#include <vector>

#include "strategies/miqp/plan.h"
#include "strategies/miqp/stage_costs.h"

namespace soapbox::miqp {

// For each group of stages: 0, and multiples of the smallest multiplier at
// which all layers fit into as many such stages as there are.
std::vector<std::vector<double>> choose_lambdas(const StageCosts& costs);

// The best plan over all multipliers, or nothing.
std::optional<Assignment> start_plan(const Instance& instance, const Chain& chain,
                                     const StageCosts& costs,
                                     const std::vector<std::vector<double>>& lambdas);

// A lower bound on the sum of all p and o, from the same paths.
double least_sum(const StageCosts& costs);

}  // namespace soapbox::miqp
