// Hill climbing by first improvement, with restarts.
//
// All starts are evaluated, then climbed from, the fastest first. Proposals are drawn and taken if
// they are no slower than the current plan: equal ones too, as most changes off the critical path
// cost nothing and open the way for others. After `patience` proposals in a row without a strict
// improvement the climb ends and the next start's begins; after the last named start, random plans
// follow until the budget is used.

#include <algorithm>
#include <utility>

#include "strategies/proposals.h"
#include "strategies/search_run.h"
#include "strategies/searchers.h"
#include "strategies/starts.h"

namespace soapbox::strategies {
namespace {

// As many of the plans as the budget allows, the fastest first.
std::vector<Plan> evaluated(SearchRun& run, std::vector<Plan> plans) {
  std::vector<std::pair<PlanCost, size_t>> order;
  for (size_t i = 0; i < plans.size() && !run.finished(); ++i) {
    run.reset(plans[i]);
    order.emplace_back(run.current_cost(), i);
  }
  std::sort(order.begin(), order.end());
  std::vector<Plan> sorted;
  for (const auto& [cost, i] : order) sorted.push_back(std::move(plans[i]));
  return sorted;
}

void climb(SearchRun& run, const Neighbourhood& around, const ProposalRow& proposals,
           uint64_t patience, Rng& rng) {
  std::vector<ConfigChange> changes;
  uint64_t failures = 0;
  while (!run.finished() && failures < patience) {
    proposals.propose(around, run.current(), rng, changes);
    const PlanCost before = run.current_cost();
    run.step(changes, before.time);
    failures = run.current_cost() < before ? 0 : failures + 1;
  }
}

}  // namespace

Result<SearchOutcome> hill_search(const SearchRequest& request) {
  const Status accepted = check_request("hill", request, {.proposals = true, .starts = true});
  if (!accepted) return accepted.error();
  const Result<const ProposalRow*> proposals = find_proposals(request.settings.proposals);
  if (!proposals) return proposals.error();
  const Neighbourhood around(request.problem.model.graph, request.problem.cluster.device_count());
  Result<std::vector<Plan>> starts =
      starting_plans(request, {"data_parallel", "expert"}, **proposals, around);
  if (!starts) return starts.error();

  const uint64_t patience = std::max<uint64_t>(100, 10 * around.operators().size());
  SearchRun run(request);
  const std::vector<Plan> fastest_first = evaluated(run, *std::move(starts));
  for (size_t climbs = 0; !run.finished(); ++climbs) {
    Rng rng(request.seed, kChainStream + climbs);
    if (climbs < fastest_first.size()) {
      run.reset(fastest_first[climbs]);
    } else {
      Plan plan = (*proposals)->random_plan(around, rng);
      plan.sync = request.settings.sync;
      run.reset(plan);
    }
    if (around.device_count() == 1) return run.outcome("the space has one plan");
    climb(run, around, **proposals, patience, rng);
  }
  return run.outcome("budget");
}

}  // namespace soapbox::strategies
