// Full against delta simulation, per proposal of a Metropolis chain as FlexFlow runs it: a random
// operator gets random degrees and random devices; from data parallelism, beta 300 on the relative
// difference. The chain is the same for both, so the figures divide.
#include "sim/simulate/evaluator.h"

#include <benchmark/benchmark.h>

#include <cmath>

#include "sim/model/models.h"
#include "sim/plan/test_plan.h"

namespace soapbox {
namespace {

// Random degrees that divide, at most `devices` tasks.
OpConfig proposal(const Operator& op, size_t devices, Rng& rng) {
  OpConfig config;
  size_t tasks = 1;
  for (size_t d = 0; d < op.dims.size(); ++d) {
    if (!op.dims[d].divisible || op.dims[d].dim_class == DimClass::kReduction) continue;
    const int32_t degree = 1 << rng.below(7);
    if (op.dims[d].size % degree != 0 || tasks * static_cast<size_t>(degree) > devices) continue;
    config.degrees[d] = degree;
    tasks *= static_cast<size_t>(degree);
  }
  for (size_t i = 0; i < tasks; ++i) {
    config.devices.push_back(DeviceId(rng.below(static_cast<uint32_t>(devices))));
  }
  return config;
}

void proposals(benchmark::State& state, const char* name, SimulationMode mode) {
  const auto devices = static_cast<size_t>(state.range(0));
  const Model model = *build_model(name, static_cast<int64_t>(64 * devices));
  const Cluster cluster = test_cluster(devices / 4, 4);
  const Costs costs = *Costs::make(model, cluster, {});
  const Problem problem{model, cluster, costs, {}};
  Evaluator evaluator(problem, mode);
  evaluator.reset(data_parallel_plan(model.graph, devices));
  Rng rng(1);
  uint64_t accepted = 0;
  for (auto _ : state) {
    const OpId op(rng.below(static_cast<uint32_t>(model.graph.ops().size())));
    const ConfigChange change{op, proposal(model.graph.op(op), devices, rng)};
    const double slack = -std::log(1 - rng.uniform()) / 300;
    const Duration limit = Duration(static_cast<int64_t>(
        static_cast<double>(evaluator.current_time().picoseconds()) * (1 + slack)));
    if (evaluator.propose({&change, 1}, limit)) {
      evaluator.accept();
      ++accepted;
    } else {
      evaluator.reject();
    }
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["accepted"] =
      static_cast<double>(accepted) / static_cast<double>(state.iterations());
  state.counters["iteration_ms"] = evaluator.current_time().seconds() * 1e3;
}

#define SOAPBOX_PROPOSALS(model)                                              \
  BENCHMARK_CAPTURE(proposals, model##_full, #model, SimulationMode::kFull)   \
      ->RangeMultiplier(2)                                                    \
      ->Range(4, 64)                                                          \
      ->Unit(benchmark::kMicrosecond)                                         \
      ->Iterations(500);                                                      \
  BENCHMARK_CAPTURE(proposals, model##_delta, #model, SimulationMode::kDelta) \
      ->RangeMultiplier(2)                                                    \
      ->Range(4, 64)                                                          \
      ->Unit(benchmark::kMicrosecond)                                         \
      ->Iterations(500)
SOAPBOX_PROPOSALS(alexnet);
SOAPBOX_PROPOSALS(inception_v3);
SOAPBOX_PROPOSALS(resnet101);
SOAPBOX_PROPOSALS(rnntc);
SOAPBOX_PROPOSALS(rnnlm);
SOAPBOX_PROPOSALS(nmt);

}  // namespace
}  // namespace soapbox
