// The two oracles against worked examples and against each other.
#include <gtest/gtest.h>

#include "strategies/miqp/brute.h"
#include "strategies/miqp/pareto.h"
#include "strategies/miqp/test_instances.h"

namespace soapbox::miqp {
namespace {

// Two layers, two strategies: fast (3, memory 4) and small (5, memory 1).
Instance two_layers(size_t stages, int64_t microbatches, int64_t limit) {
  Instance in;
  in.layers = 2;
  in.strategies = 2;
  in.stages = stages;
  in.microbatches = microbatches;
  in.edges = {{0, 1}};
  in.compute = {3, 5, 3, 5};
  in.memory = {4, 1, 4, 1};
  in.memory_limit.assign(stages, limit);
  in.reshard = {0, 1, 1, 0};
  in.reshard_cross = {2, 3, 3, 2};
  return in;
}

// One stage, limit 5: fast and small, in either order, 3 + 5 + 1 = 9, times 4
// microbatches.
TEST(Brute, OneStage) {
  const Solution solution = solve_brute(two_layers(1, 4, 5));
  EXPECT_EQ(solution.status, SolveStatus::kOptimal);
  EXPECT_EQ(solution.objective, 4 * 9);
}

// Two stages, limit 4: p = 3, 3 and o = 2; 8 + 3 max(3, 3, 2) = 17.
TEST(Brute, TwoStages) {
  const Solution solution = solve_brute(two_layers(2, 4, 4));
  EXPECT_EQ(solution.objective, 17);
  ASSERT_TRUE(solution.plan);
  EXPECT_EQ(solution.plan->stage, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(solution.plan->strategy, (std::vector<uint32_t>{0, 0}));
}

TEST(Brute, SaysWhyThereIsNoPlan) {
  Instance in = two_layers(2, 4, 4);
  in.memory_limit[1] = 0;
  EXPECT_EQ(solve_brute(in).status, SolveStatus::kInfeasible);
  EXPECT_NE(solve_brute(in).reason.find("memory"), std::string::npos);
  EXPECT_NE(solve_brute(two_layers(3, 1, 9)).reason.find("3 stages"), std::string::npos);
}

// 1F1B: the first of two stages holds 2 microbatches, the last 1; 3 + 2 x 2
// does not fit into 6.
TEST(Brute, CountsMicrobatchesInFlight) {
  Instance in = two_layers(2, 4, 6);
  in.memory = {3, 1, 3, 1};
  in.memory_per_microbatch = {2, 1, 2, 1};
  in.memory_model = MemoryModel::kOneForward;
  const Solution solution = solve_brute(in);
  ASSERT_TRUE(solution.plan);
  EXPECT_EQ(solution.plan->strategy, (std::vector<uint32_t>{1, 0}));
}

TEST(Oracles, AgreeOnChains) {
  int feasible = 0;
  for (uint64_t seed = 0; seed < 120; ++seed) {
    InstanceSpec spec;
    spec.family = static_cast<Family>(seed % 4);
    spec.layers = 1 + seed % 5;
    spec.strategies = 1 + seed % 3;
    spec.stages = 1 + seed % 3;
    spec.microbatches = 1 + static_cast<int64_t>(seed % 4) * 5;
    spec.forbidden = seed % 3 == 0;
    spec.uneven = seed % 5 == 0;
    if (seed % 7 == 0) spec.memory_model = MemoryModel::kOneForward;
    const Instance in = random_chain(spec, seed);
    ASSERT_TRUE(validate(in)) << validate(in).error().message;
    const Solution brute = solve_brute(in);
    const Solution pareto = solve_pareto(in);
    EXPECT_EQ(brute.objective, pareto.objective) << "seed " << seed;
    EXPECT_EQ(brute.status, pareto.status) << "seed " << seed;
    feasible += brute.plan.has_value() ? 1 : 0;
  }
  EXPECT_GT(feasible, 60);
  EXPECT_LT(feasible, 120);
}

}  // namespace
}  // namespace soapbox::miqp
