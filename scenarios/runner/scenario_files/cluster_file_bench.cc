// Reading a cluster with all its routes, and asking for routes.
#include "scenarios/runner/scenario_files/cluster_file.h"

#include <benchmark/benchmark.h>

#include <string>
#include <utility>
#include <vector>

#include "sim/base/rng.h"

namespace soapbox::runner {
namespace {

Cluster load(const std::string& name, size_t devices) {
  const ScenarioFolder scenarios(std::string(SOAPBOX_SOURCE_DIR) + "/scenarios");
  return std::move(*load_cluster(scenarios, name, devices));
}

void read_cluster(benchmark::State& state, const std::string& name) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(load(name, static_cast<size_t>(state.range(0))));
  }
}
BENCHMARK_CAPTURE(read_cluster, k80_16x4, std::string("k80_16x4"))->Arg(64);
BENCHMARK_CAPTURE(read_cluster, dgx_h100, std::string("dgx_h100"))
    ->Arg(8)
    ->Arg(64)
    ->Arg(1024)
    ->Arg(16384)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read_cluster, gb200_nvl72, std::string("gb200_nvl72"))
    ->Arg(16384)
    ->Unit(benchmark::kMillisecond);

// Random pairs of devices; the latency is read, as a network model would.
void find_route(benchmark::State& state, const std::string& name) {
  const Cluster cluster = load(name, static_cast<size_t>(state.range(0)));
  Rng rng(1);
  std::vector<std::pair<DeviceId, DeviceId>> pairs;
  const uint32_t count = static_cast<uint32_t>(cluster.device_count());
  for (int i = 0; i < 4096; ++i) pairs.emplace_back(rng.below(count), rng.below(count));
  size_t next = 0;
  for (auto _ : state) {
    const auto& [from, to] = pairs[next++ % pairs.size()];
    benchmark::DoNotOptimize(cluster.route(from, to).latency);
  }
}
BENCHMARK_CAPTURE(find_route, k80_16x4, std::string("k80_16x4"))->Arg(64);
BENCHMARK_CAPTURE(find_route, dgx_h100, std::string("dgx_h100"))->Arg(1024)->Arg(16384);
BENCHMARK_CAPTURE(find_route, gb200_nvl72, std::string("gb200_nvl72"))->Arg(16384);

}  // namespace
}  // namespace soapbox::runner
