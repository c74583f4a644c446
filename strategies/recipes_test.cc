#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "sim/base/rng.h"
#include "strategies/placement.h"
#include "strategies/recipes.h"
#include "strategies/searcher.h"
#include "strategies/test_problem.h"

namespace soapbox::strategies {
namespace {

Plan make(const char* recipe, const TestProblem& test) {
  const Result<const RecipeRow*> row = find_recipe(recipe);
  EXPECT_TRUE(row.has_value()) << recipe;
  Result<Plan> plan = (*row)->make(test.model, test.cluster);
  EXPECT_TRUE(plan.has_value()) << recipe;
  return *std::move(plan);
}

std::vector<uint32_t> device_numbers(const OpConfig& config) {
  std::vector<uint32_t> numbers;
  for (const DeviceId device : config.devices) numbers.push_back(device.value());
  return numbers;
}

using Numbers = std::vector<uint32_t>;

TEST(LargestDivisor, IsTheBestByTrial) {
  for (int64_t size = 1; size <= 200; ++size) {
    for (size_t limit = 1; limit <= 70; ++limit) {
      int32_t best = 1;
      for (int32_t d = 1; d <= static_cast<int32_t>(limit); ++d) {
        if (size % d == 0) best = d;
      }
      ASSERT_EQ(largest_divisor(size, limit), best) << size << " " << limit;
    }
  }
}

double heaviest(std::span<const Flops> work, std::span<const size_t> group_of) {
  std::map<size_t, double> load;
  for (size_t i = 0; i < work.size(); ++i) load[group_of[i]] += work[i].count();
  double most = 0;
  for (const auto& [group, weight] : load) most = std::max(most, weight);
  return most;
}

// Oracle: every way to cut nine items into three contiguous groups.
TEST(BalancedGroups, HaveTheLightestHeaviestGroupOfAllCuts) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    std::vector<Flops> work;
    for (int i = 0; i < 9; ++i) work.push_back(Flops(rng.below(100)));
    double best = heaviest(work, std::vector<size_t>(9, 0));
    for (size_t a = 0; a <= 9; ++a) {
      for (size_t b = a; b <= 9; ++b) {
        std::vector<size_t> cut;
        for (size_t i = 0; i < 9; ++i) cut.push_back(i < a ? 0 : i < b ? 1 : 2);
        best = std::min(best, heaviest(work, cut));
      }
    }
    const std::vector<size_t> groups = balanced_groups(work, 3);
    EXPECT_TRUE(std::is_sorted(groups.begin(), groups.end())) << "seed " << seed;
    EXPECT_LT(groups.back(), 3u) << "seed " << seed;
    EXPECT_EQ(heaviest(work, groups), best) << "seed " << seed;
  }
}

TEST(Recipes, AreRefusedByTheNearestName) {
  const Result<const RecipeRow*> row = find_recipe("data_paralel");
  ASSERT_FALSE(row.has_value());
  EXPECT_NE(row.error().message.find("did you mean 'data_parallel'"), std::string::npos)
      << row.error().message;
}

// 60 devices do not divide most batches, 7 does not fill nodes, 64 is the paper's largest.
TEST(Recipes, GiveValidPlansForEveryModelOnEveryClusterSize) {
  for (const ModelRow& model : model_table()) {
    for (const size_t devices : {1, 2, 3, 4, 5, 7, 8, 12, 16, 31, 32, 60, 64}) {
      const Result<Model> built = build_model(model.name, model.batch_per_device * 16);
      ASSERT_TRUE(built.has_value()) << model.name;
      const Cluster cluster = p100_nodes(devices);
      for (const RecipeRow& recipe : recipe_table()) {
        const Result<Plan> plan = recipe.make(*built, cluster);
        ASSERT_TRUE(plan.has_value()) << recipe.name << " " << model.name << " " << devices;
        const Status status = check_plan(built->graph, cluster, *plan);
        EXPECT_TRUE(status.has_value()) << recipe.name << " " << model.name << " " << devices
                                        << ": " << (status ? "" : status.error().message);
      }
    }
  }
}

TEST(Recipes, PutEverythingOnTheOnlyDevice) {
  const auto test = test_problem("lenet", 1);
  for (const RecipeRow& recipe : recipe_table()) {
    const Plan plan = make(std::string(recipe.name).c_str(), *test);
    for (const OpConfig& config : plan.ops) EXPECT_EQ(config, whole_on(DeviceId(0)));
  }
}

TEST(DataParallel, GivesTaskKOfEveryOperatorToDeviceK) {
  const auto test = test_problem("lenet", 4);
  const Plan plan = make("data_parallel", *test);
  for (const OpId op : test->model.graph.ops().ids()) {
    EXPECT_EQ(plan.ops[op].degrees[0], 4) << test->model.graph.op(op).name;
    EXPECT_EQ(device_numbers(plan.ops[op]), (Numbers{0, 1, 2, 3}));
  }
}

TEST(DataParallel, LeavesDevicesIdleWhereTheBatchDoesNotDivide) {
  const Result<Model> model = build_model("lenet", 9);
  ASSERT_TRUE(model.has_value());
  const Result<Plan> plan = data_parallel(*model, p100_nodes(8));
  ASSERT_TRUE(plan.has_value());
  for (const OpConfig& config : plan->ops) EXPECT_EQ(device_numbers(config), (Numbers{0, 1, 2}));
}

const OpConfig& config_of(const Plan& plan, const Model& model, std::string_view name) {
  for (const OpId op : model.graph.ops().ids()) {
    if (model.graph.op(op).name == name) return plan.ops[op];
  }
  ADD_FAILURE() << "no operator " << name;
  return plan.ops[OpId(0)];
}

// FLOPs of one sample, forward and backward (2 x multiply-adds; backward counts once for the
// weights and once for the input, which conv1 does not need):
//   conv1 2 x 6 x 28^2 x 25 x 2        =   470,400    conv2 2 x 16 x 10^2 x 150 x 3 = 1,440,000
//   pool1 6 x 14^2 x 4 x 2             =     9,408    pool2 16 x 5^2 x 4 x 2        =     3,200
//   fc3 2 x 120 x 400 x 3 = 288,000    fc4 2 x 84 x 120 x 3 = 60,480    fc5 2 x 10 x 84 x 3 = 5,040
// No cut is lighter than conv2 alone, and filling groups up to that from the front needs three of
// them.
TEST(ModelParallel, CutsLenetAroundItsHeaviestLayer) {
  const auto test = test_problem("lenet", 4);
  const Plan plan = make("model_parallel", *test);
  const std::map<std::string, uint32_t> expected = {{"images", 0}, {"conv1", 0}, {"pool1", 0},
                                                    {"conv2", 1},  {"pool2", 2}, {"fc3", 2},
                                                    {"fc4", 2},    {"fc5", 2},   {"softmax", 2}};
  ASSERT_EQ(plan.ops.size(), expected.size());
  for (const auto& [name, device] : expected) {
    EXPECT_EQ(config_of(plan, test->model, name), whole_on(DeviceId(device))) << name;
  }
}

// 120 and 84 channels divide by 4, the 10 classes only by 2.
TEST(OneWeirdTrick, SplitsOnlyLenetsLinearLayersByChannel) {
  const auto test = test_problem("lenet", 4);
  const Plan plan = make("one_weird_trick", *test);
  for (const char* name : {"conv1", "pool1", "conv2", "pool2", "softmax"}) {
    const OpConfig& config = config_of(plan, test->model, name);
    EXPECT_EQ(config.degrees[0], 4) << name;
    EXPECT_EQ(device_numbers(config), (Numbers{0, 1, 2, 3})) << name;
  }
  const std::map<std::string, Numbers> channel_devices = {
      {"fc3", {0, 1, 2, 3}}, {"fc4", {0, 1, 2, 3}}, {"fc5", {0, 1}}};
  for (const auto& [name, devices] : channel_devices) {
    const OpConfig& config = config_of(plan, test->model, name);
    EXPECT_EQ(config.degrees[0], 1) << name;
    EXPECT_EQ(config.degrees[1], static_cast<int32_t>(devices.size())) << name;
    EXPECT_EQ(device_numbers(config), devices) << name;
  }
}

TEST(Expert, IsOneWeirdTrickForCnns) {
  const auto test = test_problem("alexnet", 8);
  EXPECT_EQ(make("expert", *test), make("one_weird_trick", *test));
}

// Two nodes of four devices: two replicas of half the batch each.
TEST(Expert, KeepsALayerOfARecurrentModelOnOneDevicePerNode) {
  for (const char* name : {"nmt", "rnnlm", "rnntc"}) {
    const auto test = test_problem(name, 8);
    const Plan plan = make("expert", *test);
    std::map<std::string, Numbers> devices_of_layer;
    std::set<uint32_t> used;
    for (const OpId op : test->model.graph.ops().ids()) {
      const OpConfig& config = plan.ops[op];
      EXPECT_EQ(config.degrees[0], 2) << test->model.graph.op(op).name;
      const Numbers devices = device_numbers(config);
      ASSERT_EQ(devices.size(), 2u);
      EXPECT_EQ(devices[1], devices[0] + 4) << "the same place in the second node";
      const auto [known, is_new] =
          devices_of_layer.try_emplace(test->model.graph.op(op).layer, devices);
      EXPECT_EQ(known->second, devices) << test->model.graph.op(op).name;
      used.insert(devices[0]);
    }
    EXPECT_GE(used.size(), 3u) << name << " is spread over the devices of a node";
  }
}

// Graham's bound: no device gets more than the mean and the heaviest piece, which weighs no more
// than the mean.
TEST(TableParallel, SpreadsTablesWholeOrByColumns) {
  for (const size_t devices : {1, 4, 8, 16, 64}) {
    const auto test = test_problem("dlrm_dcnv2", devices);
    const Plan plan = make("table_parallel", *test);
    const OpGraph& graph = test->model.graph;
    double all_reads = 0;
    std::vector<double> reads(devices, 0);
    for (const OpId id : graph.ops().ids()) {
      const Operator& op = graph.op(id);
      if (op.kind != OpKind::kEmbeddingBag) {
        EXPECT_EQ(plan.ops[id], make("data_parallel", *test).ops[id]) << op.name;
        continue;
      }
      EXPECT_EQ(plan.ops[id].degrees[0], 1) << op.name;
      for (const DeviceId device : plan.ops[id].devices) {
        reads[device.index()] +=
            op.iteration_points() / static_cast<double>(plan.ops[id].task_count());
      }
      all_reads += op.iteration_points();
    }
    // Rows weigh half: one device may have twice two means of them, and no bytes.
    const double mean = all_reads / static_cast<double>(devices);
    EXPECT_LE(*std::ranges::max_element(reads), 4 * mean) << devices;
    EXPECT_EQ(make("expert", *test), plan);
  }
}

// Eight tables of one row per sample on four devices with a quarter of the samples each. A vector
// of 64 floats stays where its sample is once in four, else it travels there and its gradient back;
// rows' numbers are read where they are needed. Rings move 2 (n - 1) times the MLPs' weights.
TEST(TableParallel, MovesVectorsToTheirSamplesAndGradientsBack) {
  const auto test = test_problem("dlrm_random", 4);
  const Plan plan = make("table_parallel", *test);
  const OpGraph& graph = test->model.graph;
  const int64_t tables = 8 * 1'000'000 * int64_t{64};
  const int64_t mlps = 4 * (graph.parameter_count() - tables);
  const int64_t samples = test->model.batch;
  const Outcome outcome = simulate(test->problem(), plan).outcome;
  EXPECT_EQ(std::get<Report>(outcome).network.count(),
            8 * samples * 3 / 4 * (2 * 64 * 4) + 2 * 3 * mlps);
}

}  // namespace
}  // namespace soapbox::strategies
