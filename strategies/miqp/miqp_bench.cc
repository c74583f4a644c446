// CPU time to a proven optimum. One row per set of instances: the time is the
// mean over the set, median and worst are counters in milliseconds, `unproven`
// counts instances stopped by a limit.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>

#include "sim/base/check.h"
#include "strategies/miqp/certify.h"
#include "strategies/miqp/exact.h"
#include "strategies/miqp/prove.h"
#include "strategies/miqp/stopwatch.h"
#include "strategies/miqp/test_instances.h"

namespace soapbox::miqp {
namespace {

void solve_all(benchmark::State& state, const std::vector<Instance>& instances) {
  std::vector<double> times;
  double unproven = 0;
  double labels = 0;
  for (auto _ : state) {
    for (const Instance& in : instances) {
      SolveOptions options;
      options.time_limit_s = 60;
      const Solution solution = solve_exact(in, options);
      unproven += solution.status == SolveStatus::kOptimal ? 0 : 1;
      labels += static_cast<double>(solution.labels);
      times.push_back(solution.cpu_s * 1e3);
    }
  }
  std::sort(times.begin(), times.end());
  state.counters["instances"] = static_cast<double>(instances.size());
  state.counters["median_ms"] = times[times.size() / 2];
  state.counters["worst_ms"] = times.back();
  state.counters["unproven"] = unproven;
  state.counters["labels"] = labels / static_cast<double>(times.size());
}

// What a certificate of the answers costs beside finding them: the time of a row
// is that of the checks; `numbers` are those of the largest certificate.
void certify_all(benchmark::State& state, const std::vector<Instance>& instances) {
  std::vector<Certificate> certificates;
  double solve_s = 0;
  const Stopwatch prove_watch(1e9);
  for (const Instance& in : instances) {
    const Solution solution = solve_exact(in);
    solve_s += solution.cpu_s;
    Result<Certificate> certificate = prove(in, solution);
    SOAPBOX_CHECK(certificate.has_value(), "an answer without a certificate");
    certificates.push_back(*std::move(certificate));
  }
  const double prove_s = prove_watch.elapsed_s() - solve_s;
  std::vector<double> times;
  for (auto _ : state) {
    for (size_t i = 0; i < instances.size(); ++i) {
      const Stopwatch watch(1e9);
      const Result<CertifyReport> report = certify(instances[i], certificates[i]);
      SOAPBOX_CHECK(report && report->proven, "a certificate that does not hold");
      times.push_back(watch.elapsed_s() * 1e3);
    }
  }
  std::sort(times.begin(), times.end());
  size_t numbers = 0;
  for (const Certificate& certificate : certificates) {
    size_t count = 2 * certificate.stage.size();
    for (const ChainProof& proof : certificate.proofs) {
      count += 4 * proof.intervals.size() + 9 * proof.entries.size() + 3 * proof.leaves.size();
    }
    numbers = std::max(numbers, count);
  }
  state.counters["solve_ms"] = solve_s * 1e3;
  state.counters["prove_ms"] = prove_s * 1e3;
  state.counters["median_ms"] = times[times.size() / 2];
  state.counters["worst_ms"] = times.back();
  state.counters["numbers"] = static_cast<double>(numbers);
}

// V = 26, 34, 50, 82 layers, 8 or 16 strategies, 1 to 8 stages, 4 or 16
// microbatches.
std::vector<Instance> paper_grid() {
  std::vector<Instance> instances;
  for (const size_t layers : {26, 34, 50, 82}) {
    for (const size_t strategies : {8, 16}) {
      for (const size_t stages : {1, 2, 4, 8}) {
        for (const int64_t microbatches : {4, 16}) {
          InstanceSpec spec;
          spec.layers = layers;
          spec.strategies = strategies;
          spec.stages = stages;
          spec.microbatches = microbatches;
          instances.push_back(random_chain(spec, layers + strategies));
        }
      }
    }
  }
  return instances;
}

std::vector<Instance> large(double noise) {
  std::vector<Instance> instances;
  for (const size_t stages : {8, 16, 32, 64}) {
    InstanceSpec spec;
    spec.layers = 128;
    spec.strategies = 32;
    spec.stages = stages;
    spec.microbatches = static_cast<int64_t>(2 * stages);
    spec.noise = noise;
    instances.push_back(random_chain(spec, stages));
  }
  return instances;
}

// Three of the first layers also feed every second layer behind: beyond chains, one hub and labels.
Instance three_hubs(size_t layers, size_t strategies, size_t stages) {
  InstanceSpec spec;
  spec.layers = layers;
  spec.strategies = strategies;
  spec.stages = stages;
  spec.microbatches = 16;
  Instance in = random_chain(spec, layers);
  Rng rng(layers, 5);
  for (const uint32_t hub : {0, 3, 6}) {
    for (uint32_t v = hub + 3; v < layers; v += 2) add_edge(in, hub, v, rng);
  }
  return in;
}

// What is known after a limit of CPU seconds: the gap of the best plan.
void solve_within(benchmark::State& state, const Instance& in) {
  Solution solution;
  for (auto _ : state) {
    SolveOptions options;
    options.time_limit_s = static_cast<double>(state.range(0));
    solution = solve_exact(in, options);
  }
  state.counters["gap_percent"] = 100 * solution.gap();
  state.counters["all_cpu_s"] = solution.cpu_s;
}

const int kRegistered = [] {
  const auto add = [](const std::string& name, std::vector<Instance> instances) {
    benchmark::RegisterBenchmark(("solve/" + name).c_str(), [instances](benchmark::State& state) {
      solve_all(state, instances);
    })->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("certify/" + name).c_str(), [instances](benchmark::State& state) {
      certify_all(state, instances);
    })->Unit(benchmark::kMillisecond);
  };
  add("chains_paper_grid", paper_grid());
  InstanceSpec hub;
  hub.layers = 50;
  hub.strategies = 16;
  hub.stages = 8;
  hub.microbatches = 16;
  for (const double noise : {0.0, 0.05}) {
    hub.noise = noise;
    add(noise == 0 ? "one_hub_equal" : "one_hub_different", {random_hub(hub, 1)});
  }
  InstanceSpec sums;
  sums.family = Family::kSum;
  sums.layers = 26;
  sums.strategies = 8;
  sums.microbatches = 16;
  for (const size_t stages : {1, 4}) {
    sums.stages = stages;
    add("equal_sums/" + std::to_string(stages), {random_chain(sums, 1)});
  }
  const std::vector<Instance> equal = large(0);
  const std::vector<Instance> different = large(0.05);
  for (size_t i = 0; i < equal.size(); ++i) {
    const std::string stages = std::to_string(equal[i].stages);
    add("128_layers_equal/" + stages, {equal[i]});
    add("128_layers_different/" + stages, {different[i]});
  }
  for (const auto& [layers, strategies, stages] :
       {std::array<size_t, 3>{26, 8, 4}, {50, 8, 4}, {50, 16, 8}}) {
    const Instance in = three_hubs(layers, strategies, stages);
    const std::string name = "hybrid/3_hubs/" + std::to_string(layers) + "_layers_" +
                             std::to_string(strategies) + "_strategies_" + std::to_string(stages) +
                             "_stages";
    benchmark::RegisterBenchmark(name.c_str(),
                                 [in](benchmark::State& state) { solve_within(state, in); })
        ->Arg(30)
        ->Iterations(1)
        ->Unit(benchmark::kSecond);
  }
  return 0;
}();

}  // namespace
}  // namespace soapbox::miqp
