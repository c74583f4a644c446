// How fast runs with 50 improvements are stored, how fast a sweep learns what it can skip, and how
// fast a large study is listed.
#include "results/store.h"

#include <benchmark/benchmark.h>

#include "results/test_files.h"

namespace soapbox::results {
namespace {

RunRow run_with_improvements(uint64_t seed) {
  RunRow run;
  run.key = {{"nmt", "k80_16x4", 64, 4096, "fifo", "0123456789abcdef"},
             {"mcmc", "{\"beta\":50}"},
             seed,
             10'000,
             "0123456789abcdef"};
  run.status = RunStatus::kOk;
  run.best = {milliseconds(1100), 3723.6, Bytes(12'992'276'070), seed};
  run.evaluations = 10'000;
  run.best_at_evaluation = 9'000;
  run.plan = std::string(4000, ' ');  // about the size of a plan for 64 devices
  for (uint64_t i = 0; i < 50; ++i) {
    run.improvements.push_back({1 + i * 180, milliseconds(2000 - static_cast<int64_t>(i)), 0.1});
  }
  return run;
}

void store_runs(benchmark::State& state) {
  const ScratchDirectory scratch;
  Result<Store> store = Store::open(scratch.file("bench.db"));
  uint64_t seed = 0;
  for (auto _ : state) benchmark::DoNotOptimize(store->put(run_with_improvements(seed++)));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(store_runs);

constexpr uint64_t kManyRuns = 10'000;

Store store_of_many_runs(const ScratchDirectory& scratch) {
  Result<Store> store = Store::open(scratch.file("bench.db"));
  for (uint64_t seed = 0; seed < kManyRuns; ++seed) {
    benchmark::DoNotOptimize(store->put(run_with_improvements(seed)));
  }
  return *std::move(store);
}

void find_among_10000_runs(benchmark::State& state) {
  const ScratchDirectory scratch;
  Store store = store_of_many_runs(scratch);
  RunKey key = run_with_improvements(0).key;
  for (auto _ : state) {
    key.seed = (key.seed + 7919) % (2 * kManyRuns);  // every other one is not there
    benchmark::DoNotOptimize(store.find(identity(key)));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(find_among_10000_runs);

void list_10000_runs(benchmark::State& state) {
  const ScratchDirectory scratch;
  Store store = store_of_many_runs(scratch);
  for (auto _ : state) benchmark::DoNotOptimize(store.table("runs"));
}
BENCHMARK(list_10000_runs)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace soapbox::results
