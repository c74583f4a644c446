#include "strategies/uniap/profiled_costs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strategies/uniap/build_tables.h"
#include "strategies/uniap/planners.h"

namespace soapbox::strategies::uniap {
namespace {

// Round figures: 2 blocks, 1 MiB of fp32 hidden vectors per sample, 1.048576 GB/s, which is 1 MiB
// in 1 ms.
galvatron::Galvatron2Profile round_profile() {
  galvatron::Galvatron2Profile profile;
  galvatron::Galvatron2Layers block;
  block.layers = 2;
  block.hidden = block.seq_len = 512;
  block.forward = {.ms_per_sample = 2, .fixed_ms = 1};
  block.parameter_mb = 8;
  block.activation_mb_per_sample = {{1, 40}, {2, 24}, {4, 16}};
  profile.types = {block};
  profile.vocab = {.ms_per_sample = 4, .fixed_ms = 0};
  const galvatron::VocabMemory whole{{{1, 160}, {2, 80}, {4, 40}}, {{1, 20}, {2, 10}, {4, 6}}};
  const galvatron::VocabMemory end{{{1, 96}, {2, 48}}, {{1, 12}, {2, 6}}};
  profile.vocab_alone = whole;
  profile.vocab_first = profile.vocab_last = end;
  constexpr double kOne = 1.048576;
  profile.all_reduce_gb_per_s = {{{2, true}, kOne}, {{2, false}, kOne / 4}, {{4, true}, kOne / 2}};
  profile.p2p_gb_per_s = {{2, kOne}, {4, kOne}};
  return profile;
}

ProfiledCosts round_costs(int32_t devices = 4) {
  return *ProfiledCosts::make(round_profile(), {{8}, devices, mebibytes(1000), true});
}

TEST(ProfiledCosts, ALayerTakesWhatTheProfileSays) {
  const ProfiledCosts costs = round_costs();
  EXPECT_EQ(costs.layer_count(), 4u);
  const Strategy strategy{.tp = 2, .dp = 2};
  const LayerSeconds s = costs.seconds(1, strategy, 8, 1);
  EXPECT_DOUBLE_EQ(s.forward, 5e-3);  // 4 samples a rank, halved: 2 x 2 + 1
  EXPECT_DOUBLE_EQ(s.backward, 10e-3);
  EXPECT_NEAR(s.tensor_forward, 8e-3, 1e-12);  // two times 2 (2-1)/2 x 4 MiB
  EXPECT_NEAR(s.gradient, 16e-3, 1e-12);       // 2 (2-1)/2 x 4 MiB over strided ranks
  EXPECT_FALSE(s.gradient_each_time);
  EXPECT_EQ(costs.bytes(1, strategy, 8, 1).states, mebibytes(16));
  EXPECT_EQ(costs.bytes(1, strategy, 8, 1).activation, mebibytes(96));
}

TEST(ProfiledCosts, ShardedLayersGatherTwiceAndReduceHalf) {
  const ProfiledCosts costs = round_costs();
  const Strategy strategy{.tp = 1, .dp = 4, .fsdp = true};
  const LayerSeconds s = costs.seconds(1, strategy, 4, 1);
  EXPECT_NEAR(s.gather_forward, 12e-3, 1e-12);  // 3/4 x 8 MiB at half the speed
  EXPECT_NEAR(s.gather_backward, 12e-3, 1e-12);
  EXPECT_NEAR(s.gradient, 12e-3, 1e-12);
  EXPECT_TRUE(s.gradient_each_time);
  EXPECT_EQ(costs.bytes(1, strategy, 4, 1).states, mebibytes(8));
}

TEST(ProfiledCosts, EmbeddingAndHeadShareWhatIsProfiledTogether) {
  const ProfiledCosts costs = round_costs();
  const Strategy single{};
  EXPECT_DOUBLE_EQ(costs.seconds(0, single, 2, 4).forward, 4e-3);
  EXPECT_EQ(costs.bytes(0, single, 2, 4).states, mebibytes(96));  // a stage of its own
  const Strategy data{.tp = 1, .dp = 4};
  EXPECT_EQ(costs.bytes(3, data, 4, 1).states, mebibytes(80));  // half of both
  EXPECT_FALSE(costs.allowed(1, {.tp = 1, .dp = 4}, 6));
}

TEST(ProfiledCosts, PlannersPlanOnThem) {
  const ProfiledCosts costs = round_costs();
  const CostTables tables = build_tables(costs, {}, 2, 2, 8);
  const CellAnswer answer = plan_miqp(tables, {});
  ASSERT_TRUE(answer.assignment);
  EXPECT_TRUE(answer.proven);
}

TEST(ProfiledCosts, MissingBandwidthsAreNamed) {
  galvatron::Galvatron2Profile profile = round_profile();
  profile.all_reduce_gb_per_s.erase({2, false});
  const auto refused = ProfiledCosts::make(profile, {{8}, 4, mebibytes(1), true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "the profiles have no allreduce_size_2_consec_0, which 4 devices need");
  const auto odd = ProfiledCosts::make(round_profile(), {{8}, 6, mebibytes(1), true});
  ASSERT_FALSE(odd);
}

}  // namespace
}  // namespace soapbox::strategies::uniap
