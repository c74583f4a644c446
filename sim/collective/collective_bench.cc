// Ring all_reduce by messages, as in peers' published set-ups: 1 MiB in 4 chunks, 50 GB/s, 500 ns.
//
// Messages: 4 x n x 2 (n - 1). Expected, from bytes: a message is one push and one pop of an event
// queue with at most 4 n pending events of 16 bytes, which stay in the L2 cache (30 to 40 ns), and
// touches 40 bytes of its link: 60 to 80 ns. Target: 1,024 ranks (8.4 M messages) in 1 CPU s and
// 50 MiB; folded in 5 ms.
//
// Measured on 2 shared cores: 1,024 ranks 0.52 CPU s, folded (8 ranks in place of all) 3.4 ms, peak
// memory of the program 5.3 MiB; 2,048 ranks 2.2 CPU s, 7.1 ms, 6.0 MiB. Direct all_to_all of 512
// ranks: 71 ms, folded 59 ms: writing the messages down and checking that they are symmetric takes
// most of it.
#include <benchmark/benchmark.h>

#include "sim/collective/collective.h"
#include "sim/collective/test_clusters.h"

namespace soapbox {
namespace {

// Nodes of 8, as a ring: a cable of its own for every rank. (All in one node would be as fast, but
// that node's table of routes takes more memory than the simulation.)
void run_ring(benchmark::State& state, bool fold) {
  const auto ranks = static_cast<uint32_t>(state.range(0));
  const CableSpec cable{50, nanoseconds(250)};
  const Cluster cluster = nodes_with_one_nic(ranks / 8, 8, cable, cable);
  const std::vector<DeviceId> devices = first_ranks(ranks);
  const CollectiveSpec spec{.op = CollectiveOp::kAllReduce,
                            .algorithm = "ring",
                            .bytes = mebibytes(1),
                            .chunks = 4,
                            .fold = fold};
  uint64_t messages = 0;
  for (auto _ : state) {
    const Result<CollectiveOutcome> outcome = simulate_collective(cluster, devices, spec);
    messages = outcome->messages;
    benchmark::DoNotOptimize(outcome->time);
  }
  state.counters["messages"] = static_cast<double>(messages);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(messages));
}

void BM_RingAllReduceByMessages(benchmark::State& state) {
  run_ring(state, false);
}
BENCHMARK(BM_RingAllReduceByMessages)
    ->Arg(64)
    ->Arg(512)
    ->Arg(1024)
    ->Arg(2048)
    ->Unit(benchmark::kMillisecond);

void BM_RingAllReduceFolded(benchmark::State& state) {
  run_ring(state, true);
}
BENCHMARK(BM_RingAllReduceFolded)
    ->Arg(64)
    ->Arg(512)
    ->Arg(1024)
    ->Arg(2048)
    ->Unit(benchmark::kMillisecond);

void run_direct(benchmark::State& state, bool fold) {
  const auto ranks = static_cast<uint32_t>(state.range(0));
  const Cluster cluster = star(ranks, {50, nanoseconds(250)});
  const std::vector<DeviceId> devices = first_ranks(ranks);
  const CollectiveSpec spec{
      .op = CollectiveOp::kAllToAll, .algorithm = "direct", .bytes = mebibytes(1), .fold = fold};
  for (auto _ : state) {
    benchmark::DoNotOptimize(simulate_collective(cluster, devices, spec)->time);
  }
  state.SetItemsProcessed(state.iterations() * ranks * (ranks - 1));
}

void BM_DirectAllToAll(benchmark::State& state) {
  run_direct(state, false);
}
BENCHMARK(BM_DirectAllToAll)->Arg(64)->Arg(512)->Unit(benchmark::kMillisecond);

void BM_DirectAllToAllFolded(benchmark::State& state) {
  run_direct(state, true);
}
BENCHMARK(BM_DirectAllToAllFolded)->Arg(64)->Arg(512)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace soapbox
