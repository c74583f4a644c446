#include "strategies/starts.h"

#include <algorithm>

namespace soapbox::strategies {

Result<std::vector<Plan>> starting_plans(const SearchRequest& request,
                                         const std::vector<std::string>& defaults,
                                         const ProposalRow& proposals,
                                         const Neighbourhood& around) {
  const std::vector<std::string>& named = request.settings.starts;
  const std::vector<std::string>& names = named.empty() ? defaults : named;
  std::vector<Plan> plans;
  for (size_t i = 0; i < names.size(); ++i) {
    Plan plan;
    if (names[i] == kRandomStart) {
      Rng rng(request.seed, kRandomStartStream + i);
      plan = proposals.random_plan(around, rng);
    } else {
      const Result<const RecipeRow*> recipe = find_recipe(names[i]);
      if (!recipe) return recipe.error();
      Result<Plan> made = (*recipe)->make(request.problem.model, request.problem.cluster);
      if (!made) return made.error();
      plan = *std::move(made);
    }
    plan.sync = request.settings.sync;
    if (std::find(plans.begin(), plans.end(), plan) == plans.end())
      plans.push_back(std::move(plan));
  }
  return plans;
}

}  // namespace soapbox::strategies
