#include "strategies/uniap/candidates.h"

#include <gtest/gtest.h>

#include "strategies/uniap/test_costs.h"

namespace soapbox::strategies::uniap {
namespace {

size_t count_of(const Candidates& candidates, Candidate::Origin origin) {
  size_t count = 0;
  for (const Candidate& plan : candidates.plans()) count += plan.origin == origin ? 1 : 0;
  return count;
}

TEST(Candidates, TheGridIsEveryUniformPlan) {
  const RoundCosts costs(6, 4, mebibytes(100));
  Candidates candidates(costs, {}, 4);
  candidates.add_grid();
  // Samples of a micro-batch 4, 2, 1 must be a multiple of dp. One stage of 4 devices has single-
  // node strategies tp4, tp2 dp2 (two), dp4 (two): 5, 3 and 1 of them. Two stages of 2: tp2, dp2
  // (two): 3, 3, 1. Four stages of one device: 1, 1, 1.
  EXPECT_EQ(candidates.plans().size(), 5u + 3 + 1 + 3 + 3 + 1 + 1 + 1 + 1);
  candidates.add_grid();
  EXPECT_EQ(candidates.plans().size(), 19u);  // each once
}

TEST(Candidates, SamplesAreNewAllowedPlansAndTheSameForASeed) {
  const RoundCosts costs(8, 4, mebibytes(100));
  const auto drawn = [&](uint64_t seed) {
    Candidates candidates(costs, {}, 8);
    candidates.add_grid();
    Rng rng(seed);
    candidates.add_samples(40, rng);
    EXPECT_EQ(count_of(candidates, Candidate::Origin::kSample), 40u);
    std::vector<Assignment> plans;
    for (const Candidate& plan : candidates.plans()) {
      plans.push_back(plan.assignment);
      EXPECT_EQ(plan.assignment.stage_begin.front(), 0u);
      for (size_t i = 0; i < plan.assignment.stage_begin.size(); ++i) {
        EXPECT_LT(plan.assignment.stage_begin[i], plan.assignment.stage_end(i));
      }
      for (size_t u = 0; u < 8; ++u) {
        EXPECT_TRUE(plan.tables->allowed[plan.tables->at(u, plan.assignment.strategy[u])]);
      }
    }
    return plans;
  };
  EXPECT_EQ(drawn(1), drawn(1));
  EXPECT_NE(drawn(1), drawn(2));
}

TEST(Candidates, NeighboursDifferInOneStep) {
  const RoundCosts costs(6, 2, mebibytes(1000));
  Candidates candidates(costs, {}, 4);
  const CostTables tables = build_tables(costs, {}, 2, 2, 4);
  candidates.add_neighbours(tables, {{0, 3}, std::vector<size_t>(6, 0)});
  // Boundary 2 or 4; no other strategy on single devices, which gives the plan itself; 1 and 4
  // micro-batches.
  EXPECT_EQ(candidates.plans().size(), 2u + 1 + 2);
  EXPECT_EQ(count_of(candidates, Candidate::Origin::kNeighbour), 5u);
}

}  // namespace
}  // namespace soapbox::strategies::uniap
