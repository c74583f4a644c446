// Random search: every evaluation is an independent plan from the proposal distribution.
//
// It has no starts and learns nothing: the floor that tells what the other searchers' structure is
// worth.

#include "strategies/proposals.h"
#include "strategies/search_run.h"
#include "strategies/searchers.h"

namespace soapbox::strategies {

Result<SearchOutcome> random_search(const SearchRequest& request) {
  const Status accepted = check_request("random", request, {.proposals = true});
  if (!accepted) return accepted.error();
  const Result<const ProposalRow*> proposals = find_proposals(request.settings.proposals);
  if (!proposals) return proposals.error();
  const Neighbourhood around(request.problem.model.graph, request.problem.cluster.device_count());
  Rng rng(request.seed);
  SearchRun run(request);
  while (!run.finished()) {
    Plan plan = (*proposals)->random_plan(around, rng);
    plan.sync = request.settings.sync;
    run.reset(plan);
  }
  return run.outcome("budget");
}

}  // namespace soapbox::strategies
