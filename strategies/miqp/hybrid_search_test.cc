// The pruned linear program against brute force.
#include "strategies/miqp/hybrid_search.h"

#include <gtest/gtest.h>

#include "strategies/miqp/brute.h"
#include "strategies/miqp/test_instances.h"

namespace soapbox::miqp {
namespace {

// A few layers with edges over layers, every other seed no path.
Instance odd_graph(uint64_t seed) {
  Rng rng(seed, 41);
  InstanceSpec spec;
  spec.family = static_cast<Family>(seed % 4);
  spec.layers = 3 + rng.below(3);
  spec.strategies = 1 + rng.below(3);
  spec.stages = 1 + rng.below(3);
  spec.microbatches = seed % 3 == 0 ? 1 : 8;
  spec.noise = 0.3;
  spec.tightness = rng.uniform();
  spec.forbidden = seed % 5 == 0;
  spec.uneven = seed % 4 == 1;
  Instance in = random_chain(spec, seed);
  if (seed % 2 == 0) in.edges[0].from = static_cast<uint32_t>(rng.below(2));
  for (uint32_t v = 2; v < in.layers; ++v) {
    if (rng.below(2) == 0) add_edge(in, v - 2, v, rng);
  }
  if (seed % 7 == 0) in.long_edges = LongEdges::kPerHop;
  if (seed % 6 == 0) in.empty_stages = true;
  return in;
}

// Nothing of a plan below the cutoff is ruled out.
TEST(Hybrid, PruningKeepsTheOptimum) {
  size_t pruned = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Instance in = odd_graph(seed);
    if (!validate(in)) continue;
    const Solution brute = solve_brute(in);
    if (!brute.plan) continue;
    const Stopwatch stopwatch(1e9);
    const MilpPruning pruning = prune_milp(in, make_chain(in), stopwatch, brute.objective + 1);
    for (size_t u = 0; u < in.layers; ++u) {
      const size_t at = (u * in.stages + brute.plan->stage[u]) * in.strategies;
      EXPECT_TRUE(pruning.alive[at + brute.plan->strategy[u]]) << "seed " << seed;
    }
    if (in.microbatches > 1) {
      EXPECT_GE(pruning.most_bottleneck, cost_of(in, *brute.plan)->bottleneck) << seed;
    }
    for (const uint8_t alive : pruning.alive) pruned += alive ? 0 : 1;
  }
  EXPECT_GT(pruned, 1000U);
}

TEST(Hybrid, FindsTheOptimumAndABoundBelowIt) {
  if (default_milp_backend() == nullptr) GTEST_SKIP() << "built without a MILP backend";
  int tried = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Instance in = odd_graph(seed);
    if (!validate(in)) continue;
    const Solution brute = solve_brute(in);
    if (!brute.plan) continue;
    // From nothing, from a little above the optimum, and from the optimum.
    for (const int64_t start :
         {kNoObjective, brute.objective + brute.objective / 50 + 1, brute.objective}) {
      ChainIncumbent best;
      best.objective = start;
      const Stopwatch stopwatch(1e9);
      const int64_t bound =
          search_hybrid(in, make_chain(in), stopwatch, {.time_limit_s = 60}, best);
      const auto optimum = static_cast<double>(brute.objective);
      EXPECT_LE(bound, brute.objective) << "seed " << seed;
      EXPECT_GE(static_cast<double>(bound), optimum * (1 - 4e-6) - 1) << "seed " << seed;
      EXPECT_LE(static_cast<double>(best.objective), optimum * (1 + 2e-6) + 1) << "seed " << seed;
      if (best.plan) {
        EXPECT_EQ(cost_of(in, *best.plan)->objective, best.objective);
      }
    }
    ++tried;
  }
  EXPECT_GT(tried, 15);
}

}  // namespace
}  // namespace soapbox::miqp
