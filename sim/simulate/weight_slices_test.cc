#include "sim/simulate/weight_slices.h"

#include <gtest/gtest.h>

#include <map>

#include "sim/base/str.h"
#include "sim/model/builder.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"

namespace soapbox {
namespace {

// Every element of a weight, with the set of devices that need it, by brute force over all tasks.
std::map<std::vector<DeviceId>, int64_t> brute_force(const OpGraph& graph, WeightId weight,
                                                     const Plan& plan) {
  const Weight& tensor = graph.weight(weight);
  std::map<std::vector<DeviceId>, int64_t> volumes;
  const int64_t columns = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  for (int64_t row = 0; row < tensor.shape[0]; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      std::vector<DeviceId> holders;
      for (const OpId id : graph.users(weight)) {
        const Operator& op = graph.op(id);
        for (const WeightUse& use : op.weights) {
          if (use.weight != weight) continue;
          for (size_t task = 0; task < plan.ops[id].task_count(); ++task) {
            const auto piece = piece_of(op, plan.ops[id], task);
            const Range rows = use.axes[0].apply(piece, tensor.shape[0]);
            Range across{0, 1};
            if (tensor.shape.size() > 1) across = use.axes[1].apply(piece, tensor.shape[1]);
            if (row < rows.lo || row >= rows.hi || column < across.lo || column >= across.hi) {
              continue;
            }
            holders.push_back(plan.ops[id].devices[task]);
          }
        }
      }
      std::sort(holders.begin(), holders.end());
      holders.erase(std::unique(holders.begin(), holders.end()), holders.end());
      ++volumes[holders];
    }
  }
  return volumes;
}

TEST(WeightSlices, EqualABruteForceOverEveryElement) {
  const Model model = *build_model("lenet", 12);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng rng(seed);
    const Plan plan = random_plan(model.graph, 4, SyncMode::kOverlapped, rng);
    for (const WeightId weight : model.graph.weights().ids()) {
      const Weight& tensor = model.graph.weight(weight);
      if (tensor.shape.size() > 2 || tensor.parameter_count() > 5000) continue;
      const auto expected = brute_force(model.graph, weight, plan);
      const auto slices = weight_slices(model.graph, weight, plan);
      ASSERT_EQ(slices.size(), expected.size());
      for (const WeightSlice& slice : slices) {
        std::vector<DeviceId> holders;
        for (const WeightReplica& replica : slice.replicas) holders.push_back(replica.device);
        const auto found = expected.find(holders);
        ASSERT_NE(found, expected.end());
        EXPECT_EQ(slice.bytes.count(), found->second * size_bytes(tensor.type));
      }
    }
  }
}

// A table of 20 rows and 6 columns, four of whose rows have a gradient: by columns on two devices,
// and by samples, each device all of it.
TEST(WeightSlices, AreOfTheRowsThatAGradientHas) {
  ModelBuilder net("table", 4);
  const OpId ids = net.tokens("ids", 1);
  net.softmax("loss", net.embedding_bag("table", ids, 20, 6));
  const Model model = *net.build();
  ASSERT_EQ(model.graph.weight(WeightId(0)).gradient_rows, 4);
  Plan plan = data_parallel_plan(model.graph, 2);
  const auto by_samples = weight_slices(model.graph, WeightId(0), plan);
  ASSERT_EQ(by_samples.size(), 1u);
  EXPECT_EQ(by_samples[0].replicas.size(), 2u);
  EXPECT_EQ(by_samples[0].bytes.count(), 4 * 6 * 4);
  for (const OpId op : model.graph.ops().ids()) {
    if (model.graph.op(op).kind != OpKind::kEmbeddingBag) continue;
    plan.ops[op].degrees = {1, 2, 1, 1, 1, 1};
  }
  const auto by_columns = weight_slices(model.graph, WeightId(0), plan);
  ASSERT_EQ(by_columns.size(), 2u);
  for (const WeightSlice& slice : by_columns) {
    EXPECT_EQ(slice.replicas.size(), 1u);
    EXPECT_EQ(slice.bytes.count(), 4 * 3 * 4);
  }
}

}  // namespace
}  // namespace soapbox
