// The exact solver against the oracles.
#include "strategies/miqp/exact.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "strategies/miqp/brute.h"
#include "strategies/miqp/pareto.h"
#include "strategies/miqp/test_instances.h"

namespace soapbox::miqp {
namespace {

void expect_valid(const Instance& in, const Solution& solution) {
  if (solution.status != SolveStatus::kOptimal) return;
  ASSERT_TRUE(solution.plan);
  const Result<Cost> cost = cost_of(in, *solution.plan);
  ASSERT_TRUE(cost) << cost.error().message;
  EXPECT_EQ(cost->objective, solution.objective);
  EXPECT_EQ(solution.bound, solution.objective);
}

TEST(Exact, EqualsBruteForceOnTinyChains) {
  Rng rng(11);
  for (uint64_t seed = 0; seed < rounds(300); ++seed) {
    const Instance in = random_chain(random_spec(rng, 6, 3), seed);
    const Solution brute = solve_brute(in);
    const Solution exact = solve_exact(in);
    ASSERT_EQ(exact.status, brute.status) << "seed " << seed;
    ASSERT_EQ(exact.objective, brute.objective) << "seed " << seed;
    expect_valid(in, exact);
  }
}

TEST(Exact, EqualsTheParetoProgramOnChains) {
  Rng rng(12);
  for (uint64_t seed = 0; seed < rounds(200); ++seed) {
    InstanceSpec spec = random_spec(rng, 14, 6);
    // Where all sums differ, the plain program's fronts hold all of them.
    if (spec.family == Family::kSum) spec.layers = std::min<size_t>(spec.layers, 7);
    const Instance in = random_chain(spec, seed);
    const Solution pareto = solve_pareto(in);
    const Solution exact = solve_exact(in);
    ASSERT_EQ(exact.status, pareto.status) << "seed " << seed;
    ASSERT_EQ(exact.objective, pareto.objective) << "seed " << seed;
    expect_valid(in, exact);
  }
}

// Edges from one layer to some of those after the next.
TEST(Exact, EqualsBruteForceWithOneHub) {
  Rng rng(13);
  for (uint64_t seed = 0; seed < rounds(300); ++seed) {
    InstanceSpec spec = random_spec(rng, 4, 3);
    spec.layers += 2;
    Instance in = random_chain(spec, seed);
    const auto last = static_cast<uint32_t>(spec.layers);
    const uint32_t hub = rng.below(last - 2);
    add_edge(in, hub, hub + 2, rng);
    for (uint32_t v = hub + 2; v < last; ++v) {
      if (rng.below(2) == 0) add_edge(in, hub, v, rng);
    }
    const Solution brute = solve_brute(in);
    const Solution exact = solve_exact(in);
    ASSERT_EQ(exact.status, brute.status) << "seed " << seed;
    ASSERT_EQ(exact.objective, brute.objective) << "seed " << seed;
    expect_valid(in, exact);
  }
}

// Any acyclic graph: branches, several hubs, no edges at all; every switch.
TEST(Exact, EqualsBruteForceOnAnyGraph) {
  Rng rng(14);
  for (uint64_t seed = 0; seed < rounds(300); ++seed) {
    InstanceSpec spec = random_spec(rng, 5, 3);
    Instance in = random_chain(spec, seed);
    const size_t pairs = in.strategies * in.strategies;
    for (size_t e = in.edges.size(); e-- > 0;) {
      if (rng.below(3) > 0) continue;
      const auto at = static_cast<std::ptrdiff_t>(e * pairs);
      const auto end = at + static_cast<std::ptrdiff_t>(pairs);
      in.edges.erase(in.edges.begin() + static_cast<std::ptrdiff_t>(e));
      in.reshard.erase(in.reshard.begin() + at, in.reshard.begin() + end);
      in.reshard_cross.erase(in.reshard_cross.begin() + at, in.reshard_cross.begin() + end);
    }
    for (uint32_t u = 0; u < in.layers; ++u) {
      for (uint32_t v = u + 1; v < in.layers; ++v) {
        if (rng.below(4) == 0) add_edge(in, u, v, rng);
      }
    }
    if (rng.below(2) == 0) in.long_edges = LongEdges::kPerHop;
    in.empty_stages = rng.below(4) == 0;
    const Solution brute = solve_brute(in);
    const Solution exact = solve_exact(in);
    ASSERT_EQ(exact.status, brute.status) << "seed " << seed;
    ASSERT_EQ(exact.objective, brute.objective) << "seed " << seed;
    expect_valid(in, exact);
  }
}

// Every Lagrangian bound ties; HiGHS 1.15 is at 7.5 % after 120 s on the
// second.
TEST(Exact, ProvesTheHardFamily) {
  for (const size_t stages : {1, 4}) {
    InstanceSpec spec;
    spec.family = Family::kSum;
    spec.layers = 26;
    spec.strategies = 8;
    spec.stages = stages;
    spec.microbatches = 16;
    SolveOptions options;
    options.time_limit_s = 20;
    const Instance in = random_chain(spec, 1);
    const Solution solution = solve_exact(in, options);
    EXPECT_EQ(solution.status, SolveStatus::kOptimal) << stages << " stages";
    expect_valid(in, solution);
  }
}

// Two hubs: the narrow pass over labels drops some and finds a better plan, after
// which the wide one must still run.
TEST(Exact, ProvesWhatTheNarrowPassLeavesOpen) {
  InstanceSpec spec;
  spec.layers = 14;
  spec.microbatches = 8;
  Instance in = random_chain(spec, 1);
  Rng rng(1, 5);
  for (const uint32_t hub : {0, 2}) {
    for (uint32_t v = hub + 3; v < 14; v += 3) add_edge(in, hub, v, rng);
  }
  const Solution solution = solve_exact(in);
  EXPECT_EQ(solution.status, SolveStatus::kOptimal);
  EXPECT_GT(solution.labels, 500 * spec.layers);  // the narrow pass was not enough
  expect_valid(in, solution);
}

// Ctrl-C: a plan and a bound, whatever the graph.
TEST(Exact, StopsWhenAskedTo) {
  for (const bool is_chain : {true, false}) {
    InstanceSpec spec;
    spec.layers = 12;
    spec.stages = 3;
    spec.noise = 0.3;
    Instance in = random_chain(spec, 3);
    Rng rng(2, 5);
    if (!is_chain) {
      add_edge(in, 0, 4, rng);
      add_edge(in, 2, 7, rng);
    }
    SolveOptions options;
    options.stop = [] { return true; };
    const Solution stopped = solve_exact(in, options);
    const Solution whole = solve_exact(in);
    EXPECT_EQ(stopped.status, SolveStatus::kLimit);
    EXPECT_LE(stopped.bound, whole.objective);
    EXPECT_GT(stopped.bound, 0);
    ASSERT_TRUE(stopped.plan);
    EXPECT_GE(stopped.objective, whole.objective);
    EXPECT_EQ(cost_of(in, *stopped.plan)->objective, stopped.objective);
  }
}

TEST(Exact, SplitsItsTime) {
  InstanceSpec spec;
  spec.layers = 20;
  spec.stages = 3;
  const Solution solution = solve_exact(random_chain(spec, 7));
  EXPECT_GT(solution.table_cpu_s, 0);
  EXPECT_GT(solution.search_cpu_s, 0);
  EXPECT_GT(solution.proof_cpu_s, 0);
  EXPECT_NEAR(solution.table_cpu_s + solution.search_cpu_s + solution.proof_cpu_s, solution.cpu_s,
              1e-9);
}

TEST(Exact, StopsWithABoundThatHolds) {
  InstanceSpec spec;
  spec.layers = 20;
  spec.strategies = 6;
  spec.stages = 3;
  spec.noise = 0.3;
  const Instance in = random_chain(spec, 3);
  SolveOptions options;
  options.time_limit_s = 0;
  const Solution stopped = solve_exact(in, options);
  EXPECT_EQ(stopped.status, SolveStatus::kLimit);
  const int64_t optimum = solve_exact(in).objective;
  EXPECT_LE(stopped.bound, optimum);
  EXPECT_GT(stopped.bound, 0.9 * static_cast<double>(optimum));
  ASSERT_TRUE(stopped.plan);
  EXPECT_GE(stopped.objective, optimum);
}

// Eight layers of some memory on eight stages that have none: quantise() once clipped what is above
// the limits to twice their sum, which is nothing too, and the plan "fitted".
TEST(Exact, FitsNothingIntoNoMemory) {
  RealInstance real;
  real.layers = 8;
  real.strategies = 2;
  real.stages = 8;
  for (uint32_t u = 0; u + 1 < real.layers; ++u) real.edges.push_back({u, u + 1});
  real.compute.assign(real.layers * real.strategies, 1);
  real.reshard.assign(real.edges.size() * real.strategies * real.strategies, 0);
  real.reshard_cross = real.reshard;
  real.memory_limit.assign(real.stages, 0);
  real.memory_model = MemoryModel::kOneForward;
  const std::vector<double> none(real.compute.size(), 0);
  const std::vector<double> some(real.compute.size(), 0.25);
  struct Case {
    std::vector<double> memory;
    std::vector<double> memory_per_microbatch;
    SolveStatus status;
  };
  for (const Case& one :
       {Case{some, none, SolveStatus::kInfeasible}, Case{none, some, SolveStatus::kInfeasible},
        Case{none, none, SolveStatus::kOptimal}}) {
    real.memory = one.memory;
    real.memory_per_microbatch = one.memory_per_microbatch;
    const Result<Instance> in = quantise(real);
    ASSERT_TRUE(in) << in.error().message;
    const Solution solution = solve_exact(*in);
    EXPECT_EQ(solution.status, one.status);
    EXPECT_EQ(solve_brute(*in).status, one.status);
    expect_valid(*in, solution);
    // The same where one layer's sentinel would take all digits of the others.
    real.memory[0] = 1e30;
    const Result<Instance> coarse = quantise(real);
    ASSERT_TRUE(coarse) << coarse.error().message;
    EXPECT_EQ(solve_exact(*coarse).status, one.status);
  }
}

// The same in integers, at random: what the exact solver calls a plan is within every limit.
TEST(Exact, EqualsBruteForceWithoutMemoryOnAStage) {
  Rng rng(13);
  for (uint64_t seed = 0; seed < rounds(100); ++seed) {
    InstanceSpec spec = random_spec(rng, 7, 3);
    spec.microbatches = 1;
    spec.stages = spec.layers;
    spec.memory_model = MemoryModel::kOneForward;
    Instance in = random_chain(spec, seed);
    in.memory_limit[rng.below(static_cast<uint32_t>(in.stages))] = 0;
    for (int64_t& memory : in.memory) memory *= rng.below(2);
    const Solution exact = solve_exact(in);
    ASSERT_EQ(exact.status, solve_brute(in).status) << "seed " << seed;
    expect_valid(in, exact);
  }
}

TEST(Exact, KeepsTheCutoff) {
  InstanceSpec spec;
  spec.layers = 12;
  spec.stages = 3;
  const Instance in = random_chain(spec, 5);
  const int64_t optimum = solve_exact(in).objective;
  SolveOptions options;
  options.cutoff = optimum;
  EXPECT_EQ(solve_exact(in, options).status, SolveStatus::kCutOff);
  options.cutoff = optimum + 1;
  EXPECT_EQ(solve_exact(in, options).objective, optimum);
}

}  // namespace
}  // namespace soapbox::miqp
