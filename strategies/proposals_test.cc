#include "strategies/proposals.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "strategies/placement.h"
#include "strategies/recipes.h"
#include "strategies/test_problem.h"

namespace soapbox::strategies {
namespace {

Plan data_parallel_plan(const TestProblem& test) {
  Result<Plan> plan = data_parallel(test.model, test.cluster);
  EXPECT_TRUE(plan.has_value());
  return *std::move(plan);
}

// A walk of 300 accepted proposals: every one is valid, changes what it names and stays in the
// space.
TEST(Proposals, AlwaysChangeThePlanAndKeepItValid) {
  for (const char* name : {"inception_v3", "nmt", "lenet"}) {
    for (const size_t devices : {2, 6, 16}) {
      const auto test = test_problem(name, devices);
      const OpGraph& graph = test->model.graph;
      const Neighbourhood around(graph, devices);
      for (const ProposalRow& row : proposal_table()) {
        Plan plan = data_parallel_plan(*test);
        Rng rng(5);
        std::vector<ConfigChange> changes;
        for (int i = 0; i < 300; ++i) {
          row.propose(around, plan, rng, changes);
          ASSERT_FALSE(changes.empty());
          std::set<OpId> changed;
          for (const ConfigChange& change : changes) {
            EXPECT_TRUE(changed.insert(change.op).second) << "an operator is named once";
            EXPECT_NE(change.config, plan.ops[change.op]);
            const Status status = check_config(graph.op(change.op), change.config, devices);
            ASSERT_TRUE(status.has_value()) << row.name << ": " << status.error().message;
            EXPECT_LE(change.config.task_count(), devices);
          }
          for (const ConfigChange& change : changes) plan.ops[change.op] = change.config;
        }
      }
    }
  }
}

TEST(Proposals, DrawValidPlans) {
  const auto test = test_problem("nmt", 12);
  const Neighbourhood around(test->model.graph, 12);
  for (const ProposalRow& row : proposal_table()) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      Rng rng(seed);
      const Status status =
          check_plan(test->model.graph, test->cluster, row.random_plan(around, rng));
      EXPECT_TRUE(status.has_value()) << row.name << ": " << status.error().message;
    }
  }
}

// The tiny model has 10 x 10 x 10 x 6 plans; 200,000 accepted proposals leave none of an operator's
// configurations out.
TEST(Proposals, ReachEveryConfiguration) {
  const auto test = tiny_problem();
  const Neighbourhood around(test->model.graph, 2);
  for (const ProposalRow& row : proposal_table()) {
    Plan plan = data_parallel_plan(*test);
    Rng rng(11);
    std::vector<ConfigChange> changes;
    IdVector<OpId, std::set<std::string>> seen(plan.ops.size());
    for (int i = 0; i < 20000; ++i) {
      row.propose(around, plan, rng, changes);
      for (const ConfigChange& change : changes) {
        plan.ops[change.op] = change.config;
        std::string text;
        for (const int32_t degree : change.config.degrees) text += std::to_string(degree) + " ";
        for (const DeviceId device : change.config.devices) text += std::to_string(device.value());
        seen[change.op].insert(text);
      }
    }
    EXPECT_EQ(seen[OpId(1)].size(), 10u) << row.name;
    EXPECT_EQ(seen[OpId(2)].size(), 10u) << row.name;
    EXPECT_EQ(seen[OpId(3)].size(), 10u) << row.name;
    EXPECT_EQ(seen[OpId(4)].size(), 6u) << row.name;
  }
}

Operator with_dims(std::vector<Dim> dims) {
  Operator op;
  op.output_rank = dims.size();
  op.dims = std::move(dims);
  return op;
}

// A 2 x 3 split of (sample, channel) on devices 0..5. The consumer's channels, 8, share only the
// factor 1 with 3, so its two pieces go where the first piece of each half of the samples is:
// devices 0 and 3.
TEST(Adapt, KeepsWhatDividesAndFollowsThePieces) {
  const Operator from = with_dims(
      {{"sample", 4, DimClass::kSample, true}, {"channel", 9, DimClass::kParameter, true}});
  const Operator to = with_dims(
      {{"sample", 4, DimClass::kSample, true}, {"out_channel", 8, DimClass::kParameter, true}});
  OpConfig config;
  config.degrees = {2, 3, 1, 1, 1, 1};
  for (uint32_t d = 0; d < 6; ++d) config.devices.push_back(DeviceId(d));
  const OpConfig adapted = adapt(config, from, to);
  EXPECT_EQ(adapted.degrees, (Degrees{2, 1, 1, 1, 1, 1}));
  EXPECT_EQ(adapted.devices, (std::vector<DeviceId>{DeviceId(0), DeviceId(3)}));
}

// Dimensions in another order: the channel pieces of one sample half lie side by side on devices 0
// to 2 before, and with stride two after.
TEST(Adapt, MatchesDimensionsByName) {
  const Operator from = with_dims(
      {{"sample", 4, DimClass::kSample, true}, {"channel", 9, DimClass::kParameter, true}});
  const Operator to = with_dims(
      {{"channel", 9, DimClass::kAttribute, true}, {"sample", 4, DimClass::kSample, true}});
  OpConfig config;
  config.degrees = {2, 3, 1, 1, 1, 1};
  for (uint32_t d = 0; d < 6; ++d) config.devices.push_back(DeviceId(d));
  const OpConfig adapted = adapt(config, from, to);
  EXPECT_EQ(adapted.degrees, (Degrees{3, 2, 1, 1, 1, 1}));
  std::vector<DeviceId> expected;
  for (const uint32_t d : {0u, 3u, 1u, 4u, 2u, 5u}) expected.push_back(DeviceId(d));
  EXPECT_EQ(adapted.devices, expected);
}

TEST(Neighbourhood, GroupsUnrolledStepsByLayer) {
  const auto test = test_problem("rnnlm", 4);
  const OpGraph& graph = test->model.graph;
  const Neighbourhood around(graph, 4);
  size_t members = 0;
  for (const std::vector<OpId>& layer : around.layers()) {
    members += layer.size();
    for (const OpId op : layer) {
      EXPECT_EQ(graph.op(op).layer, graph.op(layer.front()).layer);
      EXPECT_EQ(graph.op(op).kind, graph.op(layer.front()).kind);
    }
  }
  EXPECT_EQ(members, graph.ops().size());
  for (const OpId op : around.operators()) {
    size_t same_layer = 0;
    for (const OpId other : around.operators()) {
      const bool same = graph.op(other).layer == graph.op(op).layer;
      same_layer += same && graph.op(other).kind == graph.op(op).kind ? 1 : 0;
    }
    EXPECT_EQ(around.siblings(op).size(), same_layer) << graph.op(op).name;
  }
}

}  // namespace
}  // namespace soapbox::strategies
