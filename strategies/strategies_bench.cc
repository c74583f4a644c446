// Proposals per CPU second of each model at 16 devices: one item is one proposal, drawn, evaluated
// and rejected or accepted by the Metropolis rule, through the whole MCMC searcher.
#include <benchmark/benchmark.h>

#include "strategies/proposals.h"
#include "strategies/searcher.h"
#include "strategies/test_problem.h"

namespace soapbox::strategies {
namespace {

constexpr size_t kDevices = 16;

void search_proposals(benchmark::State& state, const std::string& model) {
  const auto test = test_problem(model, kDevices);
  const SearcherRow& mcmc = **find_searcher("mcmc");
  uint64_t evaluations = 0;
  uint64_t seed = 0;
  for (auto _ : state) {
    const Result<SearchOutcome> outcome = mcmc.search({test->problem(), {64}, ++seed, {}, {}});
    evaluations += outcome->evaluations;
  }
  state.SetItemsProcessed(static_cast<int64_t>(evaluations));
}

// The drawing alone, without simulation.
void draw_proposals(benchmark::State& state, const std::string& model,
                    const std::string& distribution) {
  const auto test = test_problem(model, kDevices);
  const Neighbourhood around(test->model.graph, kDevices);
  const ProposalRow& row = **find_proposals(distribution);
  Rng rng(1);
  const Plan plan = row.random_plan(around, rng);
  std::vector<ConfigChange> changes;
  for (auto _ : state) {
    row.propose(around, plan, rng, changes);
    benchmark::DoNotOptimize(changes.data());
  }
  state.SetItemsProcessed(state.iterations());
}

const int kRegistered = [] {
  for (const ModelRow& row : model_table()) {
    const std::string model(row.name);
    benchmark::RegisterBenchmark(("search/mcmc/" + model).c_str(), search_proposals, model)
        ->Unit(benchmark::kMillisecond);
    for (const ProposalRow& proposals : proposal_table()) {
      const std::string name(proposals.name);
      benchmark::RegisterBenchmark(("draw/" + name + "/" + model).c_str(), draw_proposals, model,
                                   name);
    }
  }
  return 0;
}();

}  // namespace
}  // namespace soapbox::strategies
