#include "strategies/soap_space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "strategies/test_problem.h"

namespace soapbox::strategies {
namespace {

OpId op_named(const OpGraph& graph, std::string_view name) {
  for (const OpId op : graph.ops().ids()) {
    if (graph.op(op).name == name) return op;
  }
  return OpId();
}

// Oracle: every vector of degrees up to the number of devices, kept if it is a valid configuration
// without a split reduction.
std::set<Degrees> by_trial(const Operator& op, int32_t device_count) {
  std::set<Degrees> found;
  Degrees degrees;
  degrees.fill(1);
  for (;;) {
    OpConfig config;
    config.degrees = degrees;
    const size_t tasks = product(degrees);
    bool splits_reduction = false;
    for (size_t d = op.output_rank; d < op.dims.size(); ++d) splits_reduction |= degrees[d] > 1;
    if (tasks <= static_cast<size_t>(device_count) && !splits_reduction) {
      config.devices.assign(tasks, DeviceId(0));
      if (check_config(op, config, static_cast<size_t>(device_count))) found.insert(degrees);
    }
    size_t d = 0;
    while (d < 5 && degrees[d] == device_count) degrees[d++] = 1;
    if (d == 5) return found;
    ++degrees[d];
  }
}

TEST(SoapSpace, HasEveryDegreeVectorThatFitsAndNoOther) {
  for (const int32_t devices : {1, 2, 6, 12}) {
    const auto test = test_problem("lenet", static_cast<size_t>(devices));
    const OpGraph& graph = test->model.graph;
    const SoapSpace space(graph, static_cast<size_t>(devices));
    for (const OpId op : graph.ops().ids()) {
      const std::span<const Degrees> listed = space.degrees(op);
      const std::set<Degrees> as_set(listed.begin(), listed.end());
      EXPECT_EQ(as_set.size(), listed.size()) << "no vector is listed twice";
      EXPECT_EQ(as_set, by_trial(graph.op(op), devices)) << graph.op(op).name << " " << devices;
    }
  }
}

TEST(SoapSpace, ListsDegreesByNumberOfTasks) {
  const auto test = test_problem("alexnet", 16);
  const SoapSpace space(test->model.graph, 16);
  for (const OpId op : test->model.graph.ops().ids()) {
    const std::span<const Degrees> listed = space.degrees(op);
    EXPECT_EQ(product(listed.front()), 1u);
    EXPECT_TRUE(
        std::is_sorted(listed.begin(), listed.end(),
                       [](const Degrees& a, const Degrees& b) { return product(a) < product(b); }));
  }
}

TEST(SoapSpace, LeavesInputsOut) {
  const auto test = test_problem("lenet", 2);
  const SoapSpace space(test->model.graph, 2);
  EXPECT_EQ(space.operators().size(), test->model.graph.ops().size() - 1);
  for (const OpId op : space.operators()) {
    EXPECT_NE(test->model.graph.op(op).kind, OpKind::kInput);
  }
}

// fc4 on 4 devices: seven vectors of at most four tasks, 84 channels by 1, 2, 3 or 4 with the batch
// whole, by 1 or 2 with the batch in two, and the batch in four. With n = 7,000 draws each count is
// within five standard deviations, sqrt(n p (1 - p)) = 29, of n / 7.
TEST(SoapSpace, DrawsDegreesAndDevicesUniformly) {
  const auto test = test_problem("lenet", 4);
  const OpId fc4 = op_named(test->model.graph, "fc4");
  const SoapSpace space(test->model.graph, 4);
  const std::span<const Degrees> listed = space.degrees(fc4);
  ASSERT_EQ(listed.size(), 7u);
  std::vector<int> by_degrees(listed.size(), 0);
  std::vector<int> by_device(4, 0);
  int tasks = 0;
  Rng rng(20190331);
  for (int i = 0; i < 7000; ++i) {
    const OpConfig config = space.draw(fc4, rng);
    const auto found = std::find(listed.begin(), listed.end(), config.degrees);
    ++by_degrees[static_cast<size_t>(found - listed.begin())];
    for (const DeviceId device : config.devices) ++by_device[device.index()];
    tasks += static_cast<int>(config.devices.size());
  }
  for (const int count : by_degrees) EXPECT_NEAR(count, 1000, 150);
  for (const int count : by_device) EXPECT_NEAR(count, tasks / 4.0, 5 * 67);  // n = tasks < 24,000
}

TEST(SoapSpace, DrawsOnlyValidConfigurations) {
  const auto test = test_problem("inception_v3", 12);
  const OpGraph& graph = test->model.graph;
  const SoapSpace space(graph, 12);
  Rng rng(7);
  for (const OpId op : space.operators()) {
    for (int i = 0; i < 20; ++i) {
      const Status status = check_config(graph.op(op), space.draw(op, rng), 12);
      ASSERT_TRUE(status.has_value()) << status.error().message;
    }
  }
}

}  // namespace
}  // namespace soapbox::strategies
