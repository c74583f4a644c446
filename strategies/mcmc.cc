// Markov chain Monte Carlo as in FlexFlow (Jia, Zaharia, Aiken, arXiv 1807.05358, section 6.2).
//
// A chain proposes a change of its current plan S to S' and moves there with probability
//     min(1, exp(-beta * (cost(S') - cost(S)) / cost(S))),
// against the current plan, never against the best. The paper's beta multiplies absolute times and
// is not published; relative to the current cost one beta serves every model and cluster. The best
// plan seen is kept. One chain runs from each start; the budget is shared evenly, and what a chain
// leaves goes to those after it. A chain ends when its share is used or when its best has not
// improved for half of its length so far, but not before every operator has had a few proposals.

#include <algorithm>

#include "strategies/metropolis.h"
#include "strategies/proposals.h"
#include "strategies/search_run.h"
#include "strategies/searchers.h"
#include "strategies/starts.h"

namespace soapbox::strategies {
namespace {

// Found by the experiment in README.md.
constexpr double kDefaultBeta = 300;

struct ChainLimits {
  uint64_t evaluations = 0;  // its share
  uint64_t shortest = 0;     // the half-time rule waits for so many
};

// One chain from `start`, at most limits.evaluations long.
void run_chain(SearchRun& run, const Neighbourhood& around, const ProposalRow& proposals,
               const Plan& start, double beta, ChainLimits limits, Rng& rng) {
  const uint64_t begin = run.evaluations();
  run.reset(start);
  PlanCost best = run.current_cost();
  uint64_t best_length = 1;
  std::vector<ConfigChange> changes;
  while (!run.finished() && around.device_count() > 1) {
    const uint64_t length = run.evaluations() - begin;
    if (length >= limits.evaluations) return;
    if (length >= limits.shortest && 2 * (length - best_length) > length) return;
    proposals.propose(around, run.current(), rng, changes);
    run.step(changes, metropolis_limit(run.current_time(), beta, rng));
    if (run.current_cost() < best) {
      best = run.current_cost();
      best_length = length + 1;
    }
  }
}

}  // namespace

Result<SearchOutcome> mcmc_search(const SearchRequest& request) {
  const Status accepted =
      check_request("mcmc", request, {.beta = true, .proposals = true, .starts = true});
  if (!accepted) return accepted.error();
  const Result<const ProposalRow*> proposals = find_proposals(request.settings.proposals);
  if (!proposals) return proposals.error();
  const Neighbourhood around(request.problem.model.graph, request.problem.cluster.device_count());
  const Result<std::vector<Plan>> starts = starting_plans(
      request, {"data_parallel", "expert", std::string(kRandomStart)}, **proposals, around);
  if (!starts) return starts.error();

  const double beta = request.settings.beta > 0 ? request.settings.beta : kDefaultBeta;
  SearchRun run(request);
  for (size_t i = 0; i < starts->size() && !run.finished(); ++i) {
    const uint64_t left = request.budget.evaluations - run.evaluations();
    const uint64_t chains_left = starts->size() - i;
    const uint64_t share = (left + chains_left - 1) / chains_left;
    const ChainLimits limits = {.evaluations = share, .shortest = share / 4};
    Rng rng(request.seed, kChainStream + i);
    run_chain(run, around, **proposals, (*starts)[i], beta, limits, rng);
  }
  if (around.device_count() == 1) return run.outcome("the space has one plan");
  return run.outcome("no improvement for half of the search");
}

}  // namespace soapbox::strategies
