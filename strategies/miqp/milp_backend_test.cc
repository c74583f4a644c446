// Every MILP backend against brute force, and the exact solver.
#include "strategies/miqp/milp_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "strategies/miqp/brute.h"
#include "strategies/miqp/exact.h"
#include "strategies/miqp/test_instances.h"

namespace soapbox::miqp {
namespace {

using testing::HasSubstr;

Instance small_instance(uint64_t seed) {
  Rng rng(seed, 21);
  InstanceSpec spec;
  spec.family = static_cast<Family>(seed % 4);
  spec.layers = 2 + rng.below(3);
  spec.strategies = 1 + rng.below(3);
  spec.stages = 1 + rng.below(3);
  spec.microbatches = seed % 2 == 0 ? 4 : 1;
  spec.tightness = rng.uniform();
  spec.forbidden = seed % 3 == 0;
  spec.uneven = seed % 5 == 0;
  Instance in = random_chain(spec, seed);
  if (in.layers > 2 && seed % 2 == 0) add_edge(in, 0, static_cast<uint32_t>(in.layers - 1), rng);
  if (seed % 4 == 0) in.long_edges = LongEdges::kPerHop;
  if (seed % 7 == 0) in.empty_stages = true;
  return in;
}

class EveryBackend : public testing::TestWithParam<const MilpBackend*> {
 protected:
  void SetUp() override {
    if (GetParam()->solve == nullptr) GTEST_SKIP() << "built without " << GetParam()->title;
    options_.milp_backend = GetParam();
  }
  SolveOptions options_;
};

TEST_P(EveryBackend, BothFormsEqualBruteForce) {
  int optimal = 0;
  for (uint64_t seed = 0; seed < rounds(40); ++seed) {
    const Instance in = small_instance(seed);
    const Solution brute = solve_brute(in);
    for (const MilpForm form : {MilpForm::kFlow, MilpForm::kMcCormick}) {
      const Solution milp = solve_milp_form(in, options_, form);
      ASSERT_EQ(milp.status, brute.status) << "seed " << seed << ": " << milp.reason;
      // Tolerances are not zero: what is called optimal may be a millionth above.
      const auto optimum = static_cast<double>(brute.objective);
      EXPECT_NEAR(static_cast<double>(milp.objective), optimum, 1e-6 * optimum) << seed;
      EXPECT_GE(milp.objective, brute.objective) << seed;
    }
    optimal += brute.plan ? 1 : 0;
  }
  EXPECT_GT(optimal, 20);
}

TEST_P(EveryBackend, EqualsTheExactSolver) {
  for (const uint64_t seed : {1, 2}) {
    InstanceSpec spec;
    spec.layers = 8;
    spec.strategies = 3;
    spec.stages = 2;
    const Instance in = random_chain(spec, seed);
    const Solution exact = solve_exact(in);
    const Solution milp = solve_milp(in, options_);
    ASSERT_EQ(milp.status, SolveStatus::kOptimal) << milp.reason;
    const auto optimum = static_cast<double>(exact.objective);
    EXPECT_NEAR(static_cast<double>(milp.objective), optimum, 1e-6 * optimum);
  }
}

// Too large to finish in time, by far: what comes back is a bound that holds, and a plan that was
// added up, or none.
TEST_P(EveryBackend, StopsWhenAsked) {
  InstanceSpec spec;
  spec.layers = 26;
  spec.strategies = 8;
  spec.stages = 4;
  spec.microbatches = 16;
  const Instance in = random_chain(spec, 3);
  const int64_t optimum = solve_exact(in).objective;
  using Clock = std::chrono::steady_clock;
  const Clock::time_point ask = Clock::now() + std::chrono::milliseconds(300);
  options_.stop = [ask] { return Clock::now() > ask; };
  const Solution milp = solve_milp(in, options_);
  EXPECT_LT(Clock::now() - ask, std::chrono::seconds(10));  // at once, on a busy machine, too
  EXPECT_EQ(milp.status, SolveStatus::kLimit);
  EXPECT_LE(milp.bound, optimum);
  if (milp.plan) {
    EXPECT_EQ(cost_of(in, *milp.plan)->objective, milp.objective);
    EXPECT_GE(milp.objective, optimum);
  }
}

std::vector<const MilpBackend*> all_backends() {
  std::vector<const MilpBackend*> found;
  for (const MilpBackend& backend : milp_backend_table()) found.push_back(&backend);
  return found;
}

INSTANTIATE_TEST_SUITE_P(MilpBackend, EveryBackend, testing::ValuesIn(all_backends()),
                         [](const auto& row) { return std::string(row.param->name); });

TEST(MilpBackend, IsKnownByName) {
  for (const MilpBackend& backend : milp_backend_table()) {
    const Result<const MilpBackend*> found = find_milp_backend(backend.name);
    EXPECT_EQ(found.has_value(), backend.solve != nullptr);
    if (!found) {
      EXPECT_THAT(found.error().message, HasSubstr("built without"));
      EXPECT_EQ(found.error().code, ErrorCode::kUnavailable);
    }
  }
  EXPECT_THAT(find_milp_backend("high").error().message, HasSubstr("did you mean 'highs'"));
}

// HiGHS issue 2957: presolve of 1.14.0 gives wrong optima.
TEST(MilpBackend, RefusesOneVersionOfHighs) {
  EXPECT_THAT(refusal_of_highs(1, 14, 0), HasSubstr("1.14.0"));
  EXPECT_EQ(refusal_of_highs(1, 13, 1), "");
  EXPECT_EQ(refusal_of_highs(1, 14, 1), "");
  EXPECT_EQ(refusal_of_highs(1, 15, 0), "");
}

}  // namespace
}  // namespace soapbox::miqp
