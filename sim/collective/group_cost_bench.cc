// What one closed-form time costs, as plans ask for it. Target: 100 ns. Measured: 18 to 31 ns; the
// survey of a cluster 5 us (8 nodes) to 1.5 ms (2,048).
#include <benchmark/benchmark.h>

#include "sim/collective/group_cost.h"
#include "sim/collective/test_clusters.h"

namespace soapbox {
namespace {

Cluster eight_by_eight() {
  return nodes_with_one_nic(8, 8, {396, nanoseconds(300)}, {388, microseconds(1)});
}

// Sizes and shapes change from call to call, so that nothing is predicted perfectly.
void BM_GroupCost(benchmark::State& state) {
  const GroupCosts costs = GroupCosts::make(eight_by_eight(), nullptr);
  const auto op = static_cast<CollectiveOp>(state.range(0));
  int64_t call = 0;
  for (auto _ : state) {
    ++call;
    const GroupShape shape{.ranks_per_node = 1 + (call & 7),
                           .nodes = 1 + ((call >> 3) & 7),
                           .groups_per_node = 1 + ((call >> 6) & 3)};
    benchmark::DoNotOptimize(costs.time(op, Bytes((call & 1023) << 16), shape));
  }
}
BENCHMARK(BM_GroupCost)->ArgName("op")->DenseRange(0, 5);

void BM_MakeGroupCosts(benchmark::State& state) {
  const Cluster cluster = nodes_with_one_nic(static_cast<uint32_t>(state.range(0)), 8,
                                             {396, nanoseconds(300)}, {388, microseconds(1)});
  for (auto _ : state) benchmark::DoNotOptimize(GroupCosts::make(cluster, nullptr));
}
BENCHMARK(BM_MakeGroupCosts)->ArgName("nodes")->Arg(8)->Arg(128)->Arg(2048);

}  // namespace
}  // namespace soapbox
