#include "strategies/uniap/build_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strategies/uniap/test_costs.h"

namespace soapbox::strategies::uniap {
namespace {

// Two layers on two stages of two devices, eight samples in four micro-batches of two: on a stage
// tp2 takes 2 / 2 + 3 = 4 s and 0.5 s of collectives; dp2 takes 4 s, and its 4 s of gradients.
struct Fixture {
  RoundCosts costs{2, 4, mebibytes(1000)};
  TableOptions options;
  CostTables tables() const { return build_tables(costs, options, 2, 4, 8); }
  // The strategies of two devices: dp2, dp2 fsdp, tp2.
  double compute(size_t k) const { return tables().compute_s[k]; }
};

TEST(BuildTables, StrategiesAreAllFactorisationsOfTheStage) {
  EXPECT_EQ(stage_strategies(1).size(), 1u);
  EXPECT_EQ(stage_strategies(2).size(), 3u);
  EXPECT_EQ(stage_strategies(8).size(), 7u);
  EXPECT_EQ(stage_strategies(16).size(), 9u);
  EXPECT_EQ(stage_strategies(6).size(), 7u);  // tp 1, 2, 3 with twins, and 6
  EXPECT_EQ(to_string(stage_strategies(8)[3]), "tp2 dp4 fsdp");
}

TEST(BuildTables, GradientsCountOnceOrInEveryMicrobatch) {
  Fixture f;
  f.options.overlap = Overlap::kNone;
  EXPECT_DOUBLE_EQ(f.compute(0), 1 + 3 + 4.0 / 4);  // 4 s of gradients, a quarter to each of four
  f.options.gathers = Gathers::kExposed;
  EXPECT_DOUBLE_EQ(f.compute(1), 1 + 3 + 1 + 4.0 / 4);
  EXPECT_DOUBLE_EQ(f.compute(2), 1 + 3 + 0.5);
  f.options.gradient_sync = GradientSync::kInside;
  EXPECT_DOUBLE_EQ(f.compute(0), 1 + 3 + 4);
}

TEST(BuildTables, ActivationsTakeSoManyTimesTheirBytes) {
  const RoundCosts costs(4, 4, mebibytes(1000));
  const CostTables once = build_tables(costs, {}, 2, 4, 8);
  TableOptions options;
  ASSERT_TRUE(set_option(options, "activation_factor", "1.5"));
  const CostTables more = build_tables(costs, options, 2, 4, 8);
  ASSERT_GT(once.memory[0].activation.count(), 0);
  for (size_t i = 0; i < once.memory.size(); ++i) {
    EXPECT_EQ(2 * more.memory[i].activation.count(), 3 * once.memory[i].activation.count());
    EXPECT_EQ(more.memory[i].states, once.memory[i].states);
  }
}

TEST(BuildTables, OverlapHidesGradientsBehindTheBackwardPass) {
  Fixture f;
  f.options.gradient_sync = GradientSync::kInside;
  EXPECT_DOUBLE_EQ(f.compute(0), 1 + 4);  // 4 s beside 3 s, neither slowed down
  // Galvatron's form with 1.5: 6 s of slowed traffic outlast 4.5 s of slowed computing; what is
  // left over is 4 - 4.5 / 1.5 = 1 s.
  f.options.compute_slowdown = f.options.traffic_slowdown = 1.5;
  EXPECT_DOUBLE_EQ(f.compute(0), 1 + 4.5 + 1);
  // Two factors: 4 x 1.25 = 5 s of traffic within 3 x 2 = 6 s of computing, then 3 - 5 / 2 = 0.5 s.
  f.options.compute_slowdown = 2;
  f.options.traffic_slowdown = 1.25;
  EXPECT_DOUBLE_EQ(f.compute(0), 1 + 5 + 0.5);
}

TEST(BuildTables, PrefetchedParametersCostWhatComputingDoesNotHide) {
  Fixture f;
  f.options.gradient_sync = GradientSync::kInside;
  EXPECT_DOUBLE_EQ(f.compute(1), f.compute(0));  // 0.5 s behind 1 s and 3 s
  f.options.overlap = Overlap::kNone;
  EXPECT_DOUBLE_EQ(f.compute(1), f.compute(0) + 1);
}

TEST(BuildTables, BackwardIsProfiledOrTwiceTheForward) {
  Fixture f;
  f.options.backward = Backward::kTwiceForward;
  EXPECT_DOUBLE_EQ(f.compute(2), 1 + 2 + 0.5);
}

TEST(BuildTables, TransfersAreAStageOfTheirOwnOrShared) {
  Fixture f;
  CostTables tables = f.tables();
  EXPECT_DOUBLE_EQ(tables.reshard_s[tables.at(0, 0, 0)], 0);
  EXPECT_DOUBLE_EQ(tables.reshard_s[tables.at(0, 0, 2)], 0.125);
  EXPECT_DOUBLE_EQ(tables.reshard_cross_s[tables.at(0, 0, 2)], 0.1875);
  f.options.transfers = Transfers::kComputeStage;
  tables = f.tables();
  EXPECT_DOUBLE_EQ(tables.reshard_cross_s[tables.at(0, 0, 2)], 0);
  EXPECT_DOUBLE_EQ(tables.compute_s[2], 1 + 3 + 0.5 + 0.0625 / 2);  // one transfer, two layers
}

TEST(BuildTables, MemoryHoldsAllMicrobatchesOrThoseInFlight) {
  Fixture f;
  CostTables tables = f.tables();
  EXPECT_THAT(tables.in_flight, testing::ElementsAre(4, 4));
  EXPECT_EQ(tables.layer_bytes(0, 0, 0), mebibytes(80 + 4 * 10));
  EXPECT_EQ(tables.layer_bytes(0, 1, 0), mebibytes(40 + 4 * 10));
  f.options.memory = PipelineMemory::k1F1B;
  tables = f.tables();
  EXPECT_THAT(tables.in_flight, testing::ElementsAre(2, 1));
  EXPECT_EQ(tables.layer_bytes(1, 0, 1), mebibytes(80 + 1 * 10));
}

TEST(BuildTables, StrategiesThatTheSamplesCannotFillAreNotAllowed) {
  const RoundCosts costs(2, 4, mebibytes(1000));
  const CostTables tables = build_tables(costs, {}, 1, 4, 8);  // two samples: not for dp4
  EXPECT_THAT(tables.allowed, testing::ElementsAre(0, 0, 1, 1, 1, 0, 0, 1, 1, 1));
}

TEST(BuildTables, SwitchesAreSetByName) {
  TableOptions options;
  EXPECT_TRUE(set_option(options, "gradient_sync", "inside"));
  EXPECT_EQ(options.gradient_sync, GradientSync::kInside);
  EXPECT_TRUE(set_option(options, "memory", "1f1b"));
  EXPECT_EQ(options.memory, PipelineMemory::k1F1B);
  EXPECT_TRUE(set_option(options, "traffic_slowdown", "1.3"));
  EXPECT_DOUBLE_EQ(options.traffic_slowdown, 1.3);
  EXPECT_THAT(set_option(options, "gradientsync", "once").error().message,
              testing::HasSubstr("did you mean 'gradient_sync'?"));
  EXPECT_THAT(set_option(options, "memory", "gpip").error().message,
              testing::HasSubstr("did you mean 'gpipe'?"));
  for (const char* bad : {"", "0.5", "11", "nan", "1.3x"}) {
    EXPECT_FALSE(set_option(options, "compute_slowdown", bad)) << bad;
  }
}

}  // namespace
}  // namespace soapbox::strategies::uniap
