// CPU time of a whole planning, tables and all pipeline degrees and micro-batch counts, on UniAP's
// evaluation: the exact search with its proof, and its rivals. A fresh problem for every iteration:
// layer costs are remembered.
#include <benchmark/benchmark.h>

#include "scenarios/runner/planning/planner_problem.h"
#include "scenarios/runner/planning/planner_search.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

struct Case {
  const char* cluster;
  const char* model;
  int64_t batch;
};
constexpr Case kCases[] = {
    {"env_a", "bert_huge", 32},  {"env_a", "t5_large", 16},  {"env_a", "vit_huge", 128},
    {"env_a", "swin_huge", 128}, {"env_b", "bert_huge", 16}, {"env_b", "t5_large", 8},
    {"env_b", "vit_huge", 64},   {"env_b", "swin_huge", 32}, {"env_c", "llama_7b", 8},
    {"env_c", "llama_13b", 4},   {"env_d", "bert_huge", 32}, {"env_e", "bert_huge", 64}};

void plan(benchmark::State& state, const Case& example, const char* planner) {
  PlannerProblemSpec spec{.model = example.model,
                          .cluster = example.cluster,
                          .devices = {},
                          .galvatron_profiles = {},
                          .costs = *published_precision(example.model)};
  for (auto _ : state) {
    state.PauseTiming();
    const auto loaded = PlannerProblem::load(spec);
    state.ResumeTiming();
    const auto outcome =
        strategies::uniap::unified_search({.costs = (*loaded)->layers(),
                                           .options = {},
                                           .global_batch = example.batch,
                                           .planner = **strategies::uniap::find_planner(planner)});
    if (!outcome.best) state.SkipWithError("no plan");
    benchmark::DoNotOptimize(outcome.bound_s);
  }
}

const int kRegistered = [] {
  for (const char* planner : {"miqp", "alpa", "galvatron"}) {
    for (const Case& example : kCases) {
      const std::string name = str_cat(planner, "/", example.cluster, "/", example.model);
      benchmark::RegisterBenchmark(name.c_str(), plan, example, planner)
          ->Unit(benchmark::kMillisecond);
    }
  }
  return 0;
}();

}  // namespace
}  // namespace soapbox::runner
