// Closed-form optima, as the tests of Alpa's prototype state them (alpa-projects/alpa, Apache-2.0,
// playground/auto_sharding_solver): how many all-reduces of which tensors no plan can do without.
// And brute force over all strategies of a small computation.
#include "strategies/alpa/intra_op.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/base/rng.h"
#include "strategies/miqp/milp_backend.h"

namespace soapbox::strategies::alpa {
namespace {

class IntraOp : public testing::Test {
 protected:
  void SetUp() override {
    if (miqp::default_milp_backend() == nullptr) GTEST_SKIP() << "built without a MILP backend";
  }
};

Mesh mesh_of(int64_t rows, int64_t columns, double columns_s_per_byte = 1) {
  return {{rows, columns}, {1, 1}, {1, columns_s_per_byte}};
}

double optimum(const OperatorGraph& graph, const Mesh& mesh, const IntraOpOptions& options = {}) {
  const Result<IntraOpPlan> plan = solve_intra_op(graph, mesh, options);
  EXPECT_TRUE(plan) << plan.error().message;
  return plan ? plan->communication_s : 0;
}

void expect_optimum(double found, double expected) {
  EXPECT_NEAR(found, expected, 1e-4 * expected);
}

// Layers of hidden x hidden weights: forward, a squared loss, backward, update.
OperatorGraph mlp(size_t layers, int64_t batch, int64_t hidden, bool with_bias = false) {
  OperatorGraph g;
  std::vector<size_t> inputs = {g.parameter({batch, hidden})};
  const size_t target = g.parameter({batch, hidden});
  std::vector<size_t> weights;
  std::vector<size_t> biases;
  for (size_t i = 0; i < layers; ++i) weights.push_back(g.parameter({hidden, hidden}));
  for (size_t i = 0; with_bias && i < layers; ++i) biases.push_back(g.parameter({hidden}));
  for (size_t i = 0; i < layers; ++i) {
    size_t out = g.dot(inputs[i], weights[i]);
    if (with_bias) out = g.elementwise({out, g.broadcast(biases[i], {batch, hidden}, {1})});
    inputs.push_back(out);
  }
  const size_t scale = g.broadcast(g.constant({}), {batch, hidden}, {});
  size_t gradient = g.elementwise({g.elementwise({inputs[layers], target}), scale});
  for (size_t i = layers; i-- > 0;) {
    const size_t of_weight = g.dot(inputs[i], gradient, {.lhs_contracting = 0});
    g.alias(weights[i], g.elementwise({weights[i], of_weight}));
    if (with_bias) g.alias(biases[i], g.elementwise({biases[i], g.reduce(gradient, {0})}));
    if (i > 0) gradient = g.dot(gradient, weights[i], {.lhs_contracting = 1, .rhs_contracting = 1});
  }
  return g;
}

// Many samples and small weights: each weight's gradient is added up once.
TEST_F(IntraOp, DataParallelMlp) {
  for (const size_t layers : {2, 12}) {
    const OperatorGraph graph = mlp(layers, 1024, 128);
    for (const size_t axis : {0, 1}) {
      const Mesh mesh = axis == 0 ? mesh_of(4, 1) : mesh_of(1, 4);
      expect_optimum(optimum(graph, mesh),
                     static_cast<double>(layers) * mesh.all_reduce_s(128 * 128 * 4, axis));
    }
  }
}

// Few samples and large weights: one all-reduce of activations for each but one layer.
TEST_F(IntraOp, ModelParallelMlp) {
  for (const size_t layers : {2, 12}) {
    const OperatorGraph graph = mlp(layers, 128, 1024);
    for (const size_t axis : {0, 1}) {
      const Mesh mesh = axis == 0 ? mesh_of(4, 1) : mesh_of(1, 4);
      expect_optimum(optimum(graph, mesh),
                     static_cast<double>(layers - 1) * mesh.all_reduce_s(128 * 1024 * 4, axis));
    }
  }
}

// Fast columns: samples along the rows, channels along the columns.
TEST_F(IntraOp, MlpOnAMeshOfTwoAxes) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{4, 8}, {8, 4}, {3, 4}}) {
    for (const size_t layers : {2, 12}) {
      const Mesh mesh = mesh_of(rows, columns, 0.01);
      const double weight = 128.0 * 128 * 4 / static_cast<double>(columns);
      const double activation = 1024.0 * 128 * 4 / static_cast<double>(rows);
      expect_optimum(optimum(mlp(layers, 1024, 128), mesh),
                     static_cast<double>(layers) * mesh.all_reduce_s(weight, 0) +
                         static_cast<double>(layers - 1) * mesh.all_reduce_s(activation, 1));
    }
  }
}

TEST_F(IntraOp, MlpWithBiases) {
  for (const size_t axis : {0, 1}) {
    const Mesh mesh = axis == 0 ? mesh_of(4, 1) : mesh_of(1, 4);
    expect_optimum(
        optimum(mlp(2, 1024, 128, true), mesh),
        2 * mesh.all_reduce_s(128 * 128 * 4, axis) + 2 * mesh.all_reduce_s(128 * 4, axis));
    expect_optimum(optimum(mlp(2, 128, 1024, true), mesh), mesh.all_reduce_s(128 * 1024 * 4, axis));
  }
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{4, 8}, {8, 4}, {3, 4}}) {
    const Mesh mesh = mesh_of(rows, columns, 0.01);
    const auto m = static_cast<double>(columns);
    expect_optimum(optimum(mlp(2, 1024, 128, true), mesh),
                   mesh.all_reduce_s(1024.0 * 128 * 4 / static_cast<double>(rows), 1) +
                       2 * mesh.all_reduce_s(128.0 * 128 * 4 / m, 0) +
                       mesh.all_reduce_s(128 * 4, 0) + mesh.all_reduce_s(128 * 4 / m, 0));
  }
}

// Samples stay split although it costs more: products of [batch, hidden] have dimension 0 split.
TEST_F(IntraOp, DataParallelismCanBeForced) {
  const OperatorGraph graph = mlp(2, 128, 1024);
  const Mesh mesh = mesh_of(4, 1);
  const auto allowed = [&](size_t op, const Sharding& result) {
    const Operator& o = graph.operators()[op];
    return o.kind != OpKind::kDot || o.shape[0] != 128 || result.dim[0] == 0;
  };
  expect_optimum(optimum(graph, mesh, {.allowed = allowed, .all_gather_s = 1e10}),
                 2 * mesh.all_reduce_s(1024 * 1024 * 4, 0));
}

const IntraOpOptions kNoGather = {.all_gather_s = 1e8};

TEST_F(IntraOp, ShardingsPassThroughTransposes) {
  for (const size_t times : {1, 3}) {
    OperatorGraph g;
    size_t x = g.parameter({2048, 128});
    size_t y = g.parameter({128, 2048});
    for (size_t i = 0; i < times; ++i) {
      x = g.transpose(x, {1, 0});
      y = g.transpose(y, {1, 0});
    }
    g.gather(g.transpose(g.dot(x, y), {1, 0}));
    const Mesh mesh = mesh_of(1, 4);
    expect_optimum(optimum(g, mesh, kNoGather), mesh.all_reduce_s(128 * 128 * 4, 1));
  }
}

TEST_F(IntraOp, ShardingsPassThroughReshapes) {
  OperatorGraph g;
  size_t x = g.reshape(g.parameter({128, 1024, 2}), {128, 2048});
  size_t y = g.reshape(g.parameter({1024, 2, 128}), {2048, 128});
  x = g.reshape(g.reshape(x, {32, 4, 2048}), {128, 2048});
  y = g.reshape(g.reshape(y, {512, 4, 128}), {2048, 128});
  g.gather(g.reshape(g.dot(x, y), {128, 2, 64}));
  const Mesh mesh = mesh_of(4, 1);
  expect_optimum(optimum(g, mesh, kNoGather), mesh.all_reduce_s(128 * 128 * 4, 0));
}

// Every product is reduced on its own: sums of partial sums are not put off.
TEST_F(IntraOp, SumsOfProductsAreReducedOneByOne) {
  OperatorGraph g;
  const size_t x = g.parameter({128, 2048});
  const size_t y = g.parameter({2048, 128});
  size_t sum = g.parameter({32, 4, 128});
  for (int i = 0; i < 3; ++i) sum = g.elementwise({sum, g.reshape(g.dot(x, y), {32, 4, 128})});
  for (int i = 0; i < 6; ++i) g.gather(g.elementwise({sum}));
  const Mesh mesh = mesh_of(1, 4);
  expect_optimum(optimum(g, mesh, kNoGather), 3 * mesh.all_reduce_s(128 * 128 * 4, 1));
}

// Forward pass of multi-head attention.
OperatorGraph attention(int64_t batch, int64_t seq, int64_t hidden, int64_t heads, bool gathered) {
  OperatorGraph g;
  const int64_t channels = hidden / heads;
  const size_t x = g.reshape(g.parameter({batch, seq, hidden}), {batch * seq, hidden});
  const std::vector<int64_t> split = {batch, seq, heads, channels};
  const auto projection = [&](std::vector<int> order) {
    const size_t weight = g.reshape(g.parameter({hidden, heads, channels}), {hidden, hidden});
    const size_t product = g.reshape(g.dot(x, weight), split);
    const size_t bias = g.broadcast(g.parameter({heads, channels}), split, {2, 3});
    return g.transpose(g.elementwise({product, bias}), std::move(order));
  };
  const size_t query = projection({0, 2, 1, 3});
  const size_t key = projection({0, 2, 3, 1});
  const DotDims inner = {3, 2, {0, 1}, {0, 1}};
  const std::vector<int64_t> scores = {batch, heads, seq, seq};
  const size_t mask = g.broadcast(g.parameter({batch, seq}), scores, {0, 3});
  const size_t weight = g.elementwise({g.dot(query, key, inner), mask});
  const size_t highest = g.broadcast(g.reduce(weight, {3}), scores, {0, 1, 2});
  const size_t power = g.elementwise({weight, highest});
  const size_t sum = g.broadcast(g.reduce(power, {3}), scores, {0, 1, 2});
  const size_t softmax = g.elementwise({power, sum});
  const size_t value = projection({0, 2, 3, 1});
  const size_t mixed = g.dot(value, softmax, {3, 3, {0, 1}, {0, 1}});
  const size_t joined = g.reshape(g.transpose(mixed, {0, 3, 1, 2}), {batch * seq, hidden});
  const size_t last = g.reshape(g.parameter({hidden, heads, channels}), {hidden, hidden});
  const size_t out = g.reshape(g.dot(joined, last), {batch, seq, hidden});
  const size_t result =
      g.elementwise({out, g.broadcast(g.parameter({hidden}), {batch, seq, hidden}, {2})});
  if (gathered) g.gather(result);
  return g;
}

// Heads split as in Megatron-LM: one all-reduce of the output.
TEST_F(IntraOp, AttentionSplitsItsHeads) {
  for (const size_t axis : {0, 1}) {
    const Mesh mesh = axis == 0 ? mesh_of(4, 1) : mesh_of(1, 4);
    expect_optimum(optimum(attention(4, 128, 512, 16, true), mesh, kNoGather),
                   mesh.all_reduce_s(4 * 128 * 512 * 4, axis));
  }
  const Mesh plane = mesh_of(4, 4);
  expect_optimum(optimum(attention(4, 128, 2048, 16, false), plane, kNoGather),
                 plane.all_reduce_s(4.0 * 128 * 2048 * 4 / 4, 1));
}

// The least cost over all combinations of strategies, added up from the definition.
class BruteForce {
 public:
  BruteForce(const OperatorGraph& graph, const Mesh& mesh, double memory_bytes)
      : graph_(graph), mesh_(mesh), memory_(memory_bytes), all_(op_strategies(graph, mesh)) {}
  double least() {
    chosen_.clear();
    best_ = 1e300;
    extend(0);
    return best_;
  }

 private:
  void extend(double cost) {
    if (cost >= best_) return;
    const size_t i = chosen_.size();
    if (i == all_.size()) {
      if (fits()) best_ = cost;
      return;
    }
    const Operator& op = graph_.operators()[i];
    for (const OpStrategy& strategy : all_[i].all) {
      double more = strategy.communication_s;
      bool possible = true;
      for (size_t n = 0; n < op.operands.size(); ++n) {
        const size_t source = op.operands[n];
        const OpStrategy* from = chosen_[source];
        if (all_[i].leader == n) {
          possible = from == &all_[source].all[*strategy.follows];
        } else {
          more += reshard_s(mesh_, graph_.operators()[source].bytes(), from->result,
                            strategy.needed[n]);
        }
        if (!possible) break;
      }
      for (const auto& [before, after] : graph_.aliases()) {
        if (after == i) possible = possible && chosen_[before]->result == strategy.result;
      }
      if (!possible) continue;
      chosen_.push_back(&strategy);
      extend(cost + more);
      chosen_.pop_back();
    }
  }
  bool fits() const {
    for (size_t now = 0; now < all_.size(); ++now) {
      double live = 0;
      for (size_t i = 0; i < all_.size(); ++i) {
        size_t last = i;
        for (size_t j = i + 1; j < all_.size(); ++j) {
          const auto& operands = graph_.operators()[j].operands;
          if (std::find(operands.begin(), operands.end(), i) != operands.end()) last = j;
        }
        const bool parameter = graph_.operators()[i].kind == OpKind::kParameter;
        if ((i <= now || parameter) && now <= last) live += chosen_[i]->memory_bytes;
      }
      if (live > memory_) return false;
    }
    return true;
  }

  const OperatorGraph& graph_;
  const Mesh& mesh_;
  double memory_;
  std::vector<OpStrategies> all_;
  std::vector<const OpStrategy*> chosen_;
  double best_ = 0;
};

TEST_F(IntraOp, EqualsBruteForce) {
  Rng rng(7);
  int bound_by_memory = 0;
  for (int round = 0; round < 12; ++round) {
    Mesh mesh = round % 2 == 0 ? mesh_of(2, 1) : mesh_of(1, 3);
    for (double& cost : mesh.s_per_byte) cost = 0.1 + rng.uniform();
    const auto batch = static_cast<int64_t>(4 + rng.below(60));
    const auto hidden = static_cast<int64_t>(4 + rng.below(60));
    const OperatorGraph graph = mlp(2, batch, hidden);
    const double free = BruteForce(graph, mesh, 1e30).least();
    expect_optimum(optimum(graph, mesh), free);
    const double all = static_cast<double>(2 * batch * hidden + 2 * hidden * hidden) * 4;
    const double memory = all * (0.6 + 0.6 * rng.uniform());
    const double least = BruteForce(graph, mesh, memory).least();
    const Result<IntraOpPlan> plan = solve_intra_op(graph, mesh, {.memory_bytes = memory});
    ASSERT_EQ(plan.has_value(), least < 1e300) << round;
    if (!plan) continue;
    expect_optimum(plan->communication_s, least);
    bound_by_memory += least > free * 1.01 ? 1 : 0;
  }
  EXPECT_GT(bound_by_memory, 0);
}

}  // namespace
}  // namespace soapbox::strategies::alpa
