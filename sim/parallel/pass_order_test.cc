// Schedules against the bubbles that their papers derive.
#include "sim/parallel/pass_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <tuple>

namespace soapbox {
namespace {

PipelineShape shape(PipelineSchedule schedule, int32_t stages, int32_t chunks, int32_t microbatches,
                    int64_t forward, int64_t backward, int64_t weight) {
  PipelineShape result;
  result.schedule = schedule;
  result.stages = stages;
  result.chunks_per_stage = chunks;
  result.microbatches = microbatches;
  const auto positions = static_cast<size_t>(stages * chunks);
  result.forward.assign(positions, Duration(forward / chunks));
  result.backward.assign(positions, Duration(backward / chunks));
  result.weight.assign(positions, Duration(weight / chunks));
  return result;
}

// What the slowest stage idles between its first and its last pass.
int64_t bubble(const PipelineShape& pipeline) {
  const PassOrder order = make_pass_order(pipeline);
  const std::optional<Duration> longest = longest_stage(order, pipeline);
  EXPECT_TRUE(longest.has_value());
  Duration busy;
  for (int32_t chunk = 0; chunk < pipeline.chunks_per_stage; ++chunk) {
    const auto at = static_cast<size_t>(pipeline.position(0, chunk));
    busy += (pipeline.forward[at] + pipeline.backward[at] + pipeline.weight[at]) *
            pipeline.microbatches;
  }
  return (*longest - busy).picoseconds();
}

using Case = std::tuple<int32_t, int32_t>;  // stages, micro-batches
class Bubbles : public testing::TestWithParam<Case> {};

// F = 12, B = 18, W = 6; (p - 1)(F + B + W) whatever the number of micro-batches.
TEST_P(Bubbles, GPipeAnd1F1BFillAndDrain) {
  const auto [p, m] = GetParam();
  EXPECT_EQ(bubble(shape(PipelineSchedule::kGPipe, p, 1, m, 12, 18, 6)), (p - 1) * 36);
  EXPECT_EQ(bubble(shape(PipelineSchedule::k1F1B, p, 1, m, 12, 18, 6)), (p - 1) * 36);
}

TEST_P(Bubbles, InterleavingDividesTheBubbleByTheChunks) {
  const auto [p, m] = GetParam();
  for (const int32_t v : {2, 3}) {
    EXPECT_EQ(bubble(shape(PipelineSchedule::kInterleaved, p, v, m, 12, 18, 6)), (p - 1) * 36 / v)
        << v << " chunks";
  }
}

// ZB-H1 and ZB-H2 (Qi et al., ICLR 2024, Table 1), and no bubble at all for ZB-V with F = B = W.
TEST_P(Bubbles, ZeroBubbleSchedulesReachTheirPapersFormulas) {
  const auto [p, m] = GetParam();
  for (const auto& [f, b, w] : {std::tuple{12, 12, 12}, std::tuple{12, 14, 10}}) {
    EXPECT_EQ(bubble(shape(PipelineSchedule::kZb1p, p, 1, m, f, b, w)), (p - 1) * (f + b - w));
    EXPECT_LE(bubble(shape(PipelineSchedule::kZb2p, p, 1, m, f, b, w)), (p - 1) * (f + b - 2 * w));
  }
  EXPECT_EQ(bubble(shape(PipelineSchedule::kZb2p, p, 1, m, 12, 12, 12)), 0);
  EXPECT_EQ(bubble(shape(PipelineSchedule::kZbV, p, 2, m, 12, 12, 12)), 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Bubbles,
                         testing::Values(Case{1, 4}, Case{2, 8}, Case{4, 8}, Case{4, 16},
                                         Case{8, 24}, Case{16, 64}));

// Micro-batches held at once: GPipe all, 1F1B p - i on stage i, ZB-H1 and ZB-V at most p,
// zb2 at most 2 p.
TEST(PassOrder, HoldsAsManyMicrobatchesAsTheSchedulesAllow) {
  const auto peak = [](PipelineSchedule schedule, int32_t chunks, int32_t stage) {
    const PipelineShape pipeline = shape(schedule, 4, chunks, 16, 12, 12, 12);
    return make_pass_order(pipeline).peak_in_flight(stage, splits_backward(schedule));
  };
  for (int32_t stage = 0; stage < 4; ++stage) {
    EXPECT_EQ(peak(PipelineSchedule::kGPipe, 1, stage), 16);
    EXPECT_EQ(peak(PipelineSchedule::k1F1B, 1, stage), 4 - stage);
    EXPECT_LE(peak(PipelineSchedule::kZb1p, 1, stage), 4);
    EXPECT_LE(peak(PipelineSchedule::kZb2p, 1, stage), 2 * 4);
    EXPECT_LE(peak(PipelineSchedule::kZbV, 2, stage), 2 * 4);
  }
  // Megatron's interleaved warm-up on the first stage: 2 (p - 1) + (v - 1) p + 1 chunks.
  EXPECT_EQ(peak(PipelineSchedule::kInterleaved, 2, 0), 2 * 3 + 4 + 1);
}

// Every order, awkward counts included, runs each pass once and can be run to its end.
TEST(PassOrder, RunsEveryPassOnceForAnyCounts) {
  for (const PipelineSchedule schedule :
       {PipelineSchedule::kGPipe, PipelineSchedule::k1F1B, PipelineSchedule::kInterleaved,
        PipelineSchedule::kZb1p, PipelineSchedule::kZb2p, PipelineSchedule::kZbV}) {
    const int32_t chunks = schedule == PipelineSchedule::kZbV           ? 2
                           : schedule == PipelineSchedule::kInterleaved ? 3
                                                                        : 1;
    for (int32_t p = 1; p <= 9; ++p) {
      for (int32_t m = 1; m <= 20; ++m) {
        PipelineShape pipeline = shape(schedule, p, chunks, m, 12, 18, 6);
        pipeline.transfer = Duration(2);
        // Uneven stages.
        for (size_t i = 0; i < pipeline.forward.size(); i += 2) pipeline.forward[i] = Duration(9);
        const PassOrder order = make_pass_order(pipeline);
        EXPECT_TRUE(longest_stage(order, pipeline).has_value())
            << to_string(schedule) << " p " << p << " m " << m;
        const size_t kinds = splits_backward(schedule) ? 3 : 2;
        for (const std::vector<Pass>& passes : order.stages) {
          std::set<std::tuple<PassKind, int32_t, int32_t>> seen;
          for (const Pass& pass : passes) seen.insert({pass.kind, pass.chunk, pass.microbatch});
          EXPECT_EQ(seen.size(), passes.size());
          EXPECT_EQ(passes.size(), kinds * static_cast<size_t>(chunks * m));
        }
      }
    }
  }
}

TEST(PassOrder, SaysThatAnOrderCannotRun) {
  const PipelineShape pipeline = shape(PipelineSchedule::k1F1B, 1, 1, 1, 1, 1, 1);
  PassOrder order;
  order.stages = {{{PassKind::kBackward, 0, 0}, {PassKind::kForward, 0, 0}}};
  EXPECT_FALSE(order.execution(pipeline).has_value());
  EXPECT_FALSE(longest_stage(order, pipeline).has_value());
}

}  // namespace
}  // namespace soapbox
