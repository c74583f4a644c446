#include "strategies/test_problem.h"

#include <string>
#include <utility>

#include "sim/base/str.h"
#include "sim/cluster/test_hardware.h"

namespace soapbox::strategies {
namespace {

constexpr size_t kDevicesPerNode = 4;

// Grows a topology vertex by vertex.
class Builder {
 public:
  Builder() {
    parts_.name = "p100_nodes";
    parts_.hardware.push_back(test_p100());
    switch_ = parts_.vertices.push_back({"switch", VertexKind::kSwitch, {}});
  }
  void add_node(size_t devices) {
    const NodeId node = NodeId::from_index(parts_.node_count++);
    const std::string prefix = str_cat("node", node.value(), ".");
    const VertexId host = parts_.vertices.push_back({prefix + "host", VertexKind::kHost, node});
    join(host, switch_, gb_per_s(12.5), "infiniband");
    std::vector<VertexId> gpus;
    for (size_t i = 0; i < devices; ++i) {
      const VertexId gpu =
          parts_.vertices.push_back({str_cat(prefix, "gpu", i), VertexKind::kDevice, node});
      parts_.devices.push_back({gpu, node, HardwareId(0), 1.0});
      join(gpu, host, gb_per_s(16), "pcie");
      for (const VertexId other : gpus) join(gpu, other, gb_per_s(20), "nvlink");
      gpus.push_back(gpu);
    }
  }
  Cluster finish() && {
    Result<Cluster> cluster = Cluster::make(std::move(parts_));
    SOAPBOX_CHECK(cluster.has_value(), "the test cluster is sound");
    return *std::move(cluster);
  }

 private:
  void join(VertexId a, VertexId b, BytesPerSecond bandwidth, const char* type) {
    parts_.links.push_back({a, b, bandwidth, Duration(), type});
    parts_.links.push_back({b, a, bandwidth, Duration(), type});
  }

  Cluster::Parts parts_;
  VertexId switch_;
};

Costs datasheet_costs(const Model& model, const Cluster& cluster) {
  Result<Costs> costs = Costs::make(model, cluster, {});
  SOAPBOX_CHECK(costs.has_value(), "datasheet costs need no profile");
  return *std::move(costs);
}

constexpr int64_t kSamples = 64;
constexpr int64_t kChannels = 2048;

Operator per_sample(std::string name, OpKind kind, DimClass channel_class) {
  Operator op;
  op.name = std::move(name);
  op.kind = kind;
  op.dims = {{"sample", kSamples, DimClass::kSample, true},
             {"channel", kChannels, channel_class, true}};
  op.output_rank = 2;
  return op;
}

Input aligned(OpId producer) {
  return {producer, {AxisMap::follow(0), AxisMap::follow(1)}};
}

Operator linear(std::string name, OpId input, WeightId weight) {
  Operator op = per_sample(std::move(name), OpKind::kLinear, DimClass::kParameter);
  op.dims.push_back({"in_channel", kChannels, DimClass::kReduction, true});
  op.inputs = {{input, {AxisMap::follow(0), AxisMap::follow(2)}}};
  op.weights = {{weight, {AxisMap::follow(1), AxisMap::follow(2)}}};
  op.flops_per_point = 2;
  op.needs_input_gradient = false;
  return op;
}

}  // namespace

Cluster p100_nodes(size_t device_count) {
  SOAPBOX_CHECK(device_count > 0, "a cluster has devices");
  Builder builder;
  for (size_t left = device_count; left > 0;) {
    const size_t here = left < kDevicesPerNode ? left : kDevicesPerNode;
    builder.add_node(here);
    left -= here;
  }
  return std::move(builder).finish();
}

Model tiny_model() {
  IdVector<WeightId, Weight> weights;
  for (const char* name : {"left", "right"}) {
    weights.push_back({name, {kChannels, kChannels}, DataType::kFp32});
  }
  IdVector<OpId, Operator> ops;
  const OpId input = ops.push_back(per_sample("input", OpKind::kInput, DimClass::kAttribute));
  const OpId left = ops.push_back(linear("left", input, WeightId(0)));
  const OpId right = ops.push_back(linear("right", input, WeightId(1)));
  Operator add = per_sample("add", OpKind::kElementwise, DimClass::kAttribute);
  add.inputs = {aligned(left), aligned(right)};
  add.flops_per_point = 1;
  const OpId sum = ops.push_back(add);
  Operator softmax = per_sample("softmax", OpKind::kSoftmax, DimClass::kAttribute);
  softmax.dims[1].divisible = false;
  softmax.inputs = {aligned(sum)};
  softmax.flops_per_point = 5;
  ops.push_back(softmax);
  Result<OpGraph> graph = OpGraph::make(std::move(ops), std::move(weights));
  SOAPBOX_CHECK(graph.has_value(), "the tiny model is sound");
  return {"tiny", kSamples, *std::move(graph)};
}

TestProblem::TestProblem(Model the_model, Cluster the_cluster)
    : model(std::move(the_model)),
      cluster(std::move(the_cluster)),
      costs(datasheet_costs(model, cluster)) {}

std::unique_ptr<TestProblem> test_problem(std::string_view name, size_t device_count) {
  const Result<const ModelRow*> row = find_model(name);
  SOAPBOX_CHECK(row.has_value(), "the model is in the table");
  Result<Model> model =
      build_model(name, (*row)->batch_per_device * static_cast<int64_t>(device_count));
  SOAPBOX_CHECK(model.has_value(), "the model builds");
  return std::make_unique<TestProblem>(*std::move(model), p100_nodes(device_count));
}

std::unique_ptr<TestProblem> tiny_problem() {
  return std::make_unique<TestProblem>(tiny_model(), p100_nodes(2));
}

}  // namespace soapbox::strategies
