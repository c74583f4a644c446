#include "sim/cost/cost.h"

#include <benchmark/benchmark.h>

#include <string>

#include "sim/model/models.h"

namespace soapbox {
namespace {

// One evaluation of an operator's three phases, over all operators of a model in turn.
void op_cost(benchmark::State& state, const std::string& name) {
  const auto model = build_model(name, 64);
  Hardware hardware;
  hardware.name = "P100-SXM2-16GB";
  hardware.fp32_peak = tflops_per_s(10.6);
  hardware.memory_bandwidth = gb_per_s(732);
  hardware.sm_count = 56;
  Cluster::Parts parts;
  parts.hardware.push_back(hardware);
  parts.vertices.push_back({"gpu", VertexKind::kDevice, NodeId(0)});
  Device device;
  device.vertex = VertexId(0);
  device.node = NodeId(0);
  device.hardware = HardwareId(0);
  parts.devices.push_back(device);
  parts.node_count = 1;
  const auto cluster = Cluster::make(std::move(parts));
  const auto costs = Costs::make(*model, *cluster, {});  // as many tiles as a fitted profile
  size_t op = 0;
  for (auto _ : state) {
    const Operator& next = model->graph.ops().raw()[op];
    Extents extents = {1, 1, 1, 1, 1, 1};
    for (size_t dim = 0; dim < next.dims.size(); ++dim) extents[dim] = next.dims[dim].size;
    benchmark::DoNotOptimize(costs->op_cost(next, extents, HardwareId(0)));
    op = op + 1 == model->graph.ops().size() ? 0 : op + 1;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(op_cost, alexnet, std::string("alexnet"));

}  // namespace
}  // namespace soapbox
