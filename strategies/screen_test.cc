#include "strategies/screen.h"

#include <gtest/gtest.h>

#include <limits>

#include "sim/parallel/test_parallel.h"

namespace soapbox::strategies {
namespace {

ScreenOutcome screen_all(const TestMachine& machine, const Transformer& model, size_t best) {
  const auto devices = static_cast<int64_t>(machine.cluster.device_count());
  return screen(machine.problem(model), ScreenSpace::all(model, devices, 32), best,
                [] { return true; });
}

// Nothing is pruned while all are kept; with pruning the best must be the same plan and time.
TEST(Screen, PruningLosesNothing) {
  const TestMachine machine(8, 4);
  const Transformer model = small_gpt(8);
  const ScreenOutcome all = screen_all(machine, model, 100000);
  const ScreenOutcome few = screen_all(machine, model, 3);
  EXPECT_EQ(all.pruned, 0u);
  EXPECT_EQ(all.evaluated, all.configurations);
  EXPECT_GT(few.pruned, 0u);
  EXPECT_EQ(few.configurations, all.configurations);
  EXPECT_EQ(few.evaluated + few.pruned, few.configurations);
  std::vector<Duration> times;
  for (const ScreenEntry& entry : all.best) times.push_back(entry.analytic);
  std::sort(times.begin(), times.end());
  ASSERT_GE(few.best.size(), 3u);
  std::vector<Duration> kept;
  for (const ScreenEntry& entry : few.best) kept.push_back(entry.analytic);
  std::sort(kept.begin(), kept.end());
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i], times[i]);
}

// The bound by which plans are pruned, against every simulation of a space.
TEST(Screen, NoSimulationTakesLessThanItsBound) {
  for (const int64_t blocks : {2, 3}) {
    const TestMachine machine(8, 4);
    const Transformer model = small_gpt(blocks);
    const ScreenOutcome all = screen_all(machine, model, 100000);
    EXPECT_EQ(all.pruned, 0u);
    Duration fastest(std::numeric_limits<int64_t>::max());
    size_t runs = 0;
    for (const ScreenEntry& entry : all.best) {
      const auto* report = std::get_if<Report>(&entry.outcome);
      if (report == nullptr) continue;
      // Sums of doubles are good to a few picoseconds.
      EXPECT_GE(report->iteration_time.seconds(), entry.bound.seconds() * (1 - 1e-9));
      fastest = std::min(fastest, report->iteration_time);
      ++runs;
    }
    EXPECT_GT(runs, 100u);
    // So what a screening proves about the plans that it pruned is true.
    const ScreenOutcome few = screen_all(machine, model, 10);
    ASSERT_TRUE(few.pruned_bound.has_value());
    const Duration best = std::get<Report>(few.best.front().outcome).iteration_time;
    EXPECT_EQ(few.proves_best(), best <= *few.pruned_bound);
    EXPECT_GE(best, fastest);
  }
}

// The closed form against the simulation, where there are as many micro-batches as the formulas of
// the schedules ask for: with sends that stages wait for, and with kernels that take longer beside
// data traffic.
TEST(Screen, ClosedFormsAreCloseToSimulations) {
  const TestMachine machine(8, 8);
  const Transformer model = small_gpt(8);
  for (const double overlap : {0.0, 0.3}) {
    ParallelProblem problem = machine.problem(model);
    problem.factors.overlap = overlap;
    ScreenSpace space = ScreenSpace::all(model, 8, 32);
    space.bases.front().overlap_sends = overlap > 0;
    double sum = 0;
    size_t count = 0;
    const ScreenOutcome outcome = screen(problem, space, 400, [] { return true; });
    for (const ScreenEntry& entry : outcome.best) {
      const auto* report = std::get_if<Report>(&entry.outcome);
      if (report == nullptr || entry.plan.microbatches < 2 * entry.plan.pipeline_parallel) continue;
      const double ratio = entry.analytic.seconds() / report->iteration_time.seconds();
      EXPECT_GT(ratio, 0.83) << overlap;
      EXPECT_LT(ratio, 1.15) << overlap;
      sum += std::abs(ratio - 1);
      ++count;
    }
    ASSERT_GT(count, 100u);
    EXPECT_LT(sum / static_cast<double>(count), 0.03) << overlap;
  }
}

TEST(Screen, StopsWhenAsked) {
  const TestMachine machine(8, 4);
  const Transformer model = small_gpt(8);
  const ScreenSpace space = ScreenSpace::all(model, 8, 256);
  const ScreenOutcome whole = screen(machine.problem(model), space, 5, [] { return true; });
  ASSERT_GT(whole.configurations, 4096u);
  EXPECT_EQ(whole.best.size(), 5u);
  const ScreenOutcome stopped = screen(machine.problem(model), space, 5, [] { return false; });
  EXPECT_TRUE(stopped.interrupted);
  EXPECT_EQ(stopped.configurations, 4096u);
  EXPECT_EQ(stopped.best.size(), 1u);
  EXPECT_FALSE(stopped.proves_best());
}

}  // namespace
}  // namespace soapbox::strategies
