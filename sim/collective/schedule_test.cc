// Every algorithm, for 2 to 17 ranks: whose data ends where, and how much is sent.
#include "sim/collective/schedule.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/base/str.h"
#include "sim/collective/collective.h"
#include "sim/collective/test_data_flow.h"

namespace soapbox {
namespace {

struct Case {
  const AlgorithmRow* row;
  CollectiveShape shape;
  std::unique_ptr<const Schedule> schedule;
  std::string name() const {
    return str_cat(row->name, " ", collective_row(shape.op).op_name, " ", shape.ranks, " ranks, ",
                   shape.group_size, " in a node");
  }
};

// All that are supported; what is refused is counted.
std::vector<Case> all_cases(int* refused) {
  std::vector<Case> cases;
  for (const AlgorithmRow& row : algorithm_table()) {
    for (const CollectiveOp op : row.ops) {
      for (uint32_t ranks = 2; ranks <= 17; ++ranks) {
        for (const uint32_t group : {2U, 3U, 4U, 5U, 8U}) {
          if (row.name != "hierarchical" && group != 2) continue;
          const CollectiveShape shape{op, ranks, group};
          Result<std::unique_ptr<const Schedule>> schedule = row.build(shape);
          if (!schedule) {
            ++*refused;
            continue;
          }
          cases.push_back({&row, shape, *std::move(schedule)});
        }
      }
    }
  }
  return cases;
}

TEST(Schedule, EveryRankEndsWithEveryContributionExactlyOnce) {
  int refused = 0;
  for (const Case& c : all_cases(&refused)) {
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      EXPECT_EQ(DataFlow(*c.schedule, c.shape.op).run(seed), "") << c.name() << ", seed " << seed;
    }
  }
  // halving_doubling: reduce_scatter and all_gather of the 12 counts that are no powers of two;
  // hierarchical: of 16 x 5 pairs (ranks, group) those are taken where group divides ranks and is
  // less: 7 + 4 + 3 + 2 + 1.
  EXPECT_EQ(refused, 2 * 12 + 80 - 17);
}

TEST(Schedule, TheJudgeSeesALostAndADoubledContribution) {
  ListedSchedule lost(3, 1);  // rank 2's data never leaves
  const uint32_t sum = lost.send({1, 0}, 0, 1, true, {});
  lost.send({0, 1}, 0, 1, false, std::array{sum});
  lost.send({0, 2}, 0, 1, false, std::array{sum});
  lost.finish();
  EXPECT_EQ(DataFlow(lost, CollectiveOp::kAllReduce).run(1),
            "block 0 of rank 0 has rank 2's data 0 times, not 1");
  ListedSchedule doubled(2, 1);
  doubled.send({1, 0}, 0, 1, true, {});
  doubled.send({1, 0}, 0, 1, true, {});
  doubled.finish();
  EXPECT_EQ(DataFlow(doubled, CollectiveOp::kReduceScatter).run(1),
            "block 0 of rank 0 has rank 1's data 2 times, not 1");
}

// What must cross: all_reduce: each of n ranks' S must be reduced to one, n - 1 additions of S, and
// come back to n - 1 ranks. reduce_scatter, all_gather: one of the two. broadcast: S to n - 1
// ranks. all_to_all: n - 1 parts of S / n from each. send_recv: S from each.
int64_t least_bytes(CollectiveOp op, int64_t bytes, int64_t n) {
  switch (op) {
    case CollectiveOp::kAllReduce:
      return 2 * (n - 1) * bytes;
    case CollectiveOp::kAllToAll:
      return n * (bytes - bytes / n);
    case CollectiveOp::kSendRecv:
      return n * bytes;
    default:
      return (n - 1) * bytes;
  }
}

TEST(Schedule, SendsNoByteMoreThanTheCollectiveNeeds) {
  constexpr int64_t kBytes = 720'720 * 17 * 8;  // divisible by 2 .. 17
  int refused = 0;
  for (const Case& c : all_cases(&refused)) {
    for (const uint32_t chunks : {1U, 3U}) {
      const Bytes total = schedule_bytes(c.shape.op, Bytes(kBytes), c.shape.ranks);
      const MessageBytes bytes_of(*c.schedule, total, chunks);
      Bytes sent;
      for (uint32_t id = 0; id < c.schedule->message_count(); ++id) {
        for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
          sent += bytes_of.of(c.schedule->message(id), chunk);
        }
      }
      int64_t expected = least_bytes(c.shape.op, kBytes, c.shape.ranks);
      // From rank 0 to the root of either tree, unless it is the root.
      if (c.row->name == "double_binary_tree" && c.shape.op == CollectiveOp::kBroadcast) {
        EXPECT_GE(sent.count(), expected) << c.name();
        EXPECT_LE(sent.count(), expected + kBytes) << c.name();
        continue;
      }
      EXPECT_EQ(sent.count(), expected) << c.name();
    }
  }
}

TEST(Schedule, BytesThatDoNotDivideAreCutWithinOneByte) {
  const auto schedule = *build_ring({CollectiveOp::kAllGather, 7, 1});
  for (const int64_t bytes : {0, 1, 6, 20, 1000, 1'000'003}) {
    const MessageBytes bytes_of(*schedule, Bytes(bytes), 3);
    int64_t sent_by_all = 0;
    for (uint32_t id = 0; id < schedule->message_count(); ++id) {
      for (uint32_t chunk = 0; chunk < 3; ++chunk) {
        const int64_t part = bytes_of.of(schedule->message(id), chunk).count();
        EXPECT_GE(part, bytes / 21 - 1);
        EXPECT_LE(part, bytes / 21 + 1);
        sent_by_all += part;
      }
    }
    EXPECT_EQ(sent_by_all, 6 * bytes);
  }
}

TEST(Schedule, TheTwoTreesShareNoInnerRank) {
  for (uint32_t n = 2; n <= 40; ++n) {
    const auto schedule = *build_double_binary_tree({CollectiveOp::kAllReduce, n, 1});
    std::array<std::set<uint32_t>, 2> inner;
    for (uint32_t id = 0; id < schedule->message_count(); ++id) {
      const Message message = schedule->message(id);
      if (message.reduces) inner[message.first_block].insert(message.to);
    }
    for (const uint32_t rank : inner[0]) EXPECT_FALSE(inner[1].contains(rank)) << n << " " << rank;
  }
}

// Schedule::folded() says that r -> r + p changes nothing: here for every message.
TEST(Schedule, RingsAreUnchangedWhenRanksAreRenumberedInACircle) {
  for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kReduceScatter,
                                CollectiveOp::kAllGather, CollectiveOp::kSendRecv}) {
    constexpr uint32_t kRanks = 12;
    const auto ring = *build_ring({op, kRanks, 1});
    for (const uint32_t p : {1U, 2U, 3U, 4U, 6U}) {
      const auto folded = ring->folded(p);
      ASSERT_EQ(folded->message_count() * (kRanks / p), ring->message_count());
      for (uint32_t id = 0; id < ring->message_count(); ++id) {
        const uint32_t rank = id % kRanks;
        const uint32_t turned = id - rank + (rank + p) % kRanks;
        const Message a = ring->message(id);
        const Message b = ring->message(turned);
        EXPECT_EQ(b.to, (a.to + p) % kRanks);
        EXPECT_EQ(b.first_block, (a.first_block + p) % kRanks);
        EXPECT_EQ(std::tie(a.block_count, a.reduces), std::tie(b.block_count, b.reduces));
        uint32_t lone_a = 0;
        uint32_t lone_b = 0;
        const auto next_a = ring->dependents(id, lone_a);
        ASSERT_EQ(next_a.size(), ring->dependents(turned, lone_b).size());
        // The folded schedule has the same dependents, by rank modulo p.
        const uint32_t folded_id = id / kRanks * p + rank % p;
        uint32_t lone_f = 0;
        ASSERT_EQ(folded->dependents(folded_id, lone_f).size(), next_a.size());
        if (next_a.empty()) continue;
        EXPECT_EQ(lone_b, lone_a - lone_a % kRanks + (lone_a + p) % kRanks);
        EXPECT_EQ(lone_f, lone_a / kRanks * p + lone_a % kRanks % p);
      }
    }
  }
}

}  // namespace
}  // namespace soapbox
