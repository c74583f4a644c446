// Flows per second with max-min sharing: N hosts of a fat tree, each sends to another one, all at
// once; when all are done the next of 40 steps begins. Timed from nothing: graph, routes and run.
//
// Expected: a flow costs its events (a few hundred ns) and its part of re-sharing. Where all flows
// of a step end together there are few re-sharings; where they end one by one, each re-shares what
// is joined to the flow that ended: some pairs of route and link for permutations, some hundred for
// random destinations, at about 5 ns each. Target: 500 k flows/s with 1,024 flows at once. Measured
// on a busy 2-core machine: 0.75 (random) to 1.6 M (shift) per CPU second; SimGrid 3.32 beside it,
// simulation alone: 0.08 to 0.15 M.
#include <benchmark/benchmark.h>

#include <numeric>
#include <utility>

#include "sim/base/rng.h"
#include "sim/engine/fat_tree.h"
#include "sim/engine/flow_engine.h"

namespace soapbox {
namespace {

constexpr uint32_t kSteps = 40;

enum class Traffic {
  kShift,        // host i to i + step: no two flows share a link; equal sizes
  kPermutation,  // a random permutation each step: flows share links; equal sizes
  kSizes,        // a random permutation, random sizes: every flow ends at another moment
  kRandom,       // random destinations and sizes: hot receivers join nearly all flows to each other
};

std::vector<uint32_t> destinations(Traffic traffic, uint32_t hosts, uint32_t step, Rng& rng) {
  std::vector<uint32_t> to(hosts);
  std::iota(to.begin(), to.end(), 0);
  for (uint32_t i = 0; i < hosts; ++i) {
    if (traffic == Traffic::kShift) {
      to[i] = (i + 1 + step % (hosts - 1)) % hosts;
    } else if (traffic == Traffic::kRandom) {
      to[i] = (i + 1 + rng.below(hosts - 1)) % hosts;
    } else if (i > 0) {
      std::swap(to[i], to[rng.below(i)]);  // Sattolo's cyclic permutations: nobody sends to itself
    }
  }
  return to;
}

TaskGraph make_graph(Traffic traffic, const FatTree& tree) {
  Rng rng(1);
  const ResourceId barrier(tree.link_count());
  TaskGraph graph(tree.link_count() + 1);
  graph.reserve(size_t{kSteps} * (tree.hosts + 1), size_t{2} * kSteps * tree.hosts);
  TaskId before;
  for (uint32_t step = 0; step < kSteps; ++step) {
    const std::vector<uint32_t> to = destinations(traffic, tree.hosts, step, rng);
    std::vector<TaskId> flows;
    for (uint32_t from = 0; from < tree.hosts; ++from) {
      const RouteId route = graph.routes().add(tree.route(from, to[from]));
      const int64_t bytes = traffic >= Traffic::kSizes ? 1 + rng.below(2'000'000) : 1'000'000;
      flows.push_back(graph.add_flow(Flow{route, Bytes(bytes), microseconds(1)}, barrier, {}));
      if (before.valid()) graph.add_edge(before, flows.back());
    }
    before = graph.add_task(barrier, Duration());
    for (TaskId flow : flows) graph.add_edge(flow, before);
  }
  graph.finish();
  return graph;
}

void BM_FairShare(benchmark::State& state) {
  const FatTree tree{static_cast<uint32_t>(state.range(0))};
  const auto traffic = static_cast<Traffic>(state.range(1));
  Network network = tree.network(gb_per_s(12.5));
  network.push_back(SharedResource{});
  for (auto _ : state) {
    const TaskGraph graph = make_graph(traffic, tree);
    FlowEngine engine;
    Timeline timeline;
    engine.run(graph, network, timeline);
    benchmark::DoNotOptimize(timeline.makespan);
    state.counters["changes"] = static_cast<double>(timeline.events - graph.task_count());
  }
  state.SetItemsProcessed(state.iterations() * kSteps * state.range(0));
}
BENCHMARK(BM_FairShare)
    ->ArgNames({"flows", "traffic"})
    ->ArgsProduct({{64, 512, 1024}, {0, 1, 2, 3}})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace soapbox
