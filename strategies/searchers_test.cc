#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>

#include "strategies/searcher.h"
#include "strategies/test_problem.h"

namespace soapbox::strategies {
namespace {

SearchOutcome search(const SearcherRow& row, const SearchRequest& request) {
  Result<SearchOutcome> outcome = row.search(request);
  EXPECT_TRUE(outcome.has_value()) << row.name << ": " << (outcome ? "" : outcome.error().message);
  return *std::move(outcome);
}

Duration simulated(const Problem& problem, const Plan& plan) {
  const Run run = simulate(problem, plan);
  return std::get<Report>(run.outcome).iteration_time;
}

bool same_search(const SearchOutcome& a, const SearchOutcome& b) {
  return a.best == b.best && a.best_time == b.best_time && a.evaluations == b.evaluations &&
         a.best_at_evaluation == b.best_at_evaluation && a.stop_reason == b.stop_reason &&
         std::equal(a.improvements.begin(), a.improvements.end(), b.improvements.begin(),
                    b.improvements.end(), [](const Improvement& x, const Improvement& y) {
                      return x.evaluation == y.evaluation && x.iteration_time == y.iteration_time;
                    });
}

// Every row of the table has to pass all of these: a new searcher is tested by its row alone.
class EverySearcher : public testing::TestWithParam<SearcherRow> {
 protected:
  const std::unique_ptr<TestProblem> lenet_ = test_problem("lenet", 4);
  const std::unique_ptr<TestProblem> tiny_ = tiny_problem();
};

INSTANTIATE_TEST_SUITE_P(Table, EverySearcher, testing::ValuesIn(searcher_table()),
                         [](const testing::TestParamInfo<SearcherRow>& row) {
                           return std::string(row.param.name);
                         });

TEST_P(EverySearcher, NeverExceedsItsBudget) {
  for (const uint64_t budget : {1, 2, 3, 10, 57, 200}) {
    uint64_t calls = 0;
    uint64_t last = 0;
    SearchRequest request{lenet_->problem(), {budget}, 3, {}, {}};
    request.progress = [&](uint64_t evaluations, std::optional<Duration>) {
      ++calls;
      EXPECT_EQ(evaluations, last + 1) << "progress is told of every evaluation";
      last = evaluations;
      return true;
    };
    const SearchOutcome outcome = search(GetParam(), request);
    EXPECT_LE(outcome.evaluations, budget);
    EXPECT_EQ(outcome.evaluations, calls);
    EXPECT_FALSE(outcome.stop_reason.empty());
  }
}

TEST_P(EverySearcher, GivesTheSameSearchForTheSameSeed) {
  const SearchRequest request{lenet_->problem(), {150}, 42, {}, {}};
  EXPECT_TRUE(same_search(search(GetParam(), request), search(GetParam(), request)));
}

TEST_P(EverySearcher, ReportsAValidPlanAndItsSimulatedTime) {
  for (const SyncMode sync : {SyncMode::kOverlapped, SyncMode::kParameterServer}) {
    SearchRequest request{lenet_->problem(), {100}, 1, {}, {}};
    request.settings.sync = sync;
    const SearchOutcome outcome = search(GetParam(), request);
    const Status status = check_plan(lenet_->model.graph, lenet_->cluster, outcome.best);
    ASSERT_TRUE(status.has_value()) << status.error().message;
    EXPECT_EQ(outcome.best.sync, sync);
    EXPECT_EQ(simulated(lenet_->problem(), outcome.best), outcome.best_time);
  }
}

TEST_P(EverySearcher, RecordsEveryImprovementOnce) {
  std::vector<Improvement> heard;
  SearchRequest request{lenet_->problem(), {200}, 9, {}, {}};
  request.progress = [&](uint64_t evaluations, std::optional<Duration> best) {
    if (heard.empty() || *best < heard.back().iteration_time) heard.push_back({evaluations, *best});
    return true;
  };
  const SearchOutcome outcome = search(GetParam(), request);
  ASSERT_EQ(outcome.improvements.size(), heard.size());
  double cpu_s = 0;
  for (size_t i = 0; i < heard.size(); ++i) {
    const Improvement& improvement = outcome.improvements[i];
    EXPECT_EQ(improvement.evaluation, heard[i].evaluation);
    EXPECT_EQ(improvement.iteration_time, heard[i].iteration_time);
    EXPECT_GE(improvement.cpu_s, cpu_s);
    cpu_s = improvement.cpu_s;
  }
  EXPECT_EQ(outcome.improvements.back().iteration_time, outcome.best_time);
  EXPECT_EQ(outcome.improvements.back().evaluation, outcome.best_at_evaluation);
  EXPECT_GE(outcome.cpu_s, cpu_s);
}

TEST_P(EverySearcher, StopsWhenItsCallerAsks) {
  SearchRequest request{lenet_->problem(), {1000}, 1, {}, {}};
  request.progress = [](uint64_t evaluations, std::optional<Duration>) { return evaluations < 17; };
  const SearchOutcome outcome = search(GetParam(), request);
  EXPECT_EQ(outcome.evaluations, 17u);
  EXPECT_EQ(outcome.stop_reason, "stopped by the caller");
}

// The oracle: the best of all 6,000 plans, by enumeration.
TEST_P(EverySearcher, NeverBeatsTheOptimum) {
  const Result<const SearcherRow*> oracle = find_searcher("exhaustive");
  ASSERT_TRUE(oracle.has_value());
  const SearchOutcome optimum = search(**oracle, {tiny_->problem(), {10000}, 0, {}, {}});
  ASSERT_EQ(optimum.evaluations, 6000u);
  ASSERT_EQ(optimum.stop_reason, "every plan of the space");
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const SearchOutcome found = search(GetParam(), {tiny_->problem(), {500}, seed, {}, {}});
    EXPECT_GE(found.best_time, optimum.best_time) << "seed " << seed;
  }
}

// The fastest plan of all fits with a quarter to spare, and many others do not.
TEST_P(EverySearcher, FindsAPlanThatFitsInEitherModeOfSimulation) {
  const SearcherRow& oracle = **find_searcher("exhaustive");
  Problem problem = tiny_->problem();
  const SearchOutcome fastest = search(oracle, {problem, {10000}, 0, {}, {}});
  const auto peaks = simulate(problem, fastest.best).peaks;
  const DeviceId fullest = fullest_device(tiny_->cluster, peaks);
  const Bytes tensors = peaks[fullest].total() - kWorkspaces;
  problem.options.reserved =
      tiny_->cluster.hardware_of(fullest).memory - kWorkspaces - Bytes(tensors.count() * 5 / 4);
  const SearchOutcome optimum = search(oracle, {problem, {10000}, 0, {}, {}});
  EXPECT_EQ(optimum.best_time, fastest.best_time);
  for (uint64_t seed = 0; seed < 3; ++seed) {
    SearchRequest request{problem, {500}, seed, {}, {}};
    const SearchOutcome found = search(GetParam(), request);
    EXPECT_GE(found.best_time, optimum.best_time);
    // Simulating it again refuses what does not fit.
    EXPECT_EQ(simulated(problem, found.best), found.best_time);
    request.settings.simulation = SimulationMode::kFull;
    EXPECT_TRUE(same_search(found, search(GetParam(), request)));
  }
}

TEST_P(EverySearcher, SaysWhatTheNearestPlanLacksWhereNoneFits) {
  Problem problem = tiny_->problem();
  problem.options.reserved = tiny_->cluster.hardware_of(DeviceId(0)).memory;
  const Result<SearchOutcome> outcome = GetParam().search({problem, {20}, 0, {}, {}});
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(outcome.error().message.find(
                " plans fits the memory; the nearest is out of memory on node0.gpu"),
            std::string::npos)
      << outcome.error().message;
}

TEST_P(EverySearcher, RefusesAnEmptyBudget) {
  const Result<SearchOutcome> outcome = GetParam().search({lenet_->problem(), {0}, 0, {}, {}});
  ASSERT_FALSE(outcome.has_value());
  EXPECT_NE(outcome.error().message.find("at least 1 evaluation"), std::string::npos);
}

TEST_P(EverySearcher, WorksOnOneDevice) {
  const auto test = test_problem("lenet", 1);
  const SearchOutcome outcome = search(GetParam(), {test->problem(), {50}, 0, {}, {}});
  EXPECT_EQ(outcome.best_at_evaluation, 1u);
}

// The searchers that learn from what they evaluate.
class LocalSearcher : public testing::TestWithParam<std::string> {
 protected:
  const SearcherRow& row() const { return **find_searcher(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Table, LocalSearcher, testing::Values("hill", "mcmc"),
                         [](const testing::TestParamInfo<std::string>& name) {
                           return name.param;
                         });

TEST_P(LocalSearcher, IsNeverWorseThanItsStarts) {
  for (const char* model : {"lenet", "rnnlm"}) {
    const auto test = test_problem(model, 4);
    Duration best_start = Duration(INT64_MAX);
    for (const char* start : {"data_parallel", "expert"}) {
      const Result<const RecipeRow*> recipe = find_recipe(start);
      ASSERT_TRUE(recipe.has_value());
      const Result<Plan> plan = (*recipe)->make(test->model, test->cluster);
      ASSERT_TRUE(plan.has_value());
      best_start = std::min(best_start, simulated(test->problem(), *plan));
    }
    SearchRequest request{test->problem(), {30}, 2, {}, {}};
    request.settings.starts = {"data_parallel", "expert"};
    EXPECT_LE(search(row(), request).best_time, best_start) << model;
  }
}

TEST_P(LocalSearcher, FindsTheOptimumOfATinySpace) {
  const auto test = tiny_problem();
  const Result<const SearcherRow*> oracle = find_searcher("exhaustive");
  ASSERT_TRUE(oracle.has_value());
  const Duration optimum = search(**oracle, {test->problem(), {10000}, 0, {}, {}}).best_time;
  for (const char* proposals : {"structured", "uniform"}) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      SearchRequest request{test->problem(), {3000}, seed, {}, {}};
      request.settings.proposals = proposals;
      request.settings.starts = {"data_parallel", "expert", "random", "random", "random"};
      if (GetParam() == "mcmc") request.settings.beta = 10;  // the barrier is a third of the time
      EXPECT_EQ(search(row(), request).best_time, optimum) << proposals << " seed " << seed;
    }
  }
}

// Eight tables of 256 MB: a device has room for 1.5 GiB, so all of them fit none.
TEST_P(LocalSearcher, WorksItsWayFromWhatDoesNotFitToWhatDoes) {
  const auto test = test_problem("dlrm_random", 4);
  Problem problem = test->problem();
  problem.options.reserved = gibibytes(16) - mebibytes(1536);
  SearchRequest request{problem, {400}, 1, {}, {}};
  request.settings.starts = {"data_parallel"};
  const SearchOutcome outcome = search(row(), request);
  EXPECT_GT(outcome.improvements.front().evaluation, 1u);
  EXPECT_EQ(simulated(problem, outcome.best), outcome.best_time);
}

TEST_P(LocalSearcher, DiffersBetweenSeeds) {
  const auto test = test_problem("rnntc", 4);
  SearchRequest request{test->problem(), {100}, 1, {}, {}};
  request.settings.sync = SyncMode::kParameterServer;
  const SearchOutcome first = search(row(), request);
  SearchRequest other{test->problem(), {100}, 2, request.settings, {}};
  EXPECT_FALSE(same_search(first, search(row(), other)));
}

TEST_P(LocalSearcher, BeatsRandomSearchOnARealModel) {
  const auto test = test_problem("alexnet", 8);
  const SearchOutcome floor =
      search(**find_searcher("random"), {test->problem(), {300}, 1, {}, {}});
  EXPECT_LT(search(row(), {test->problem(), {300}, 1, {}, {}}).best_time, floor.best_time);
}

TEST(Searchers, RefuseSettingsThatAreNotTheirs) {
  const auto test = tiny_problem();
  SearchRequest request{test->problem(), {10}, 0, {}, {}};
  request.settings.beta = 5;
  for (const char* name : {"exhaustive", "hill", "random"}) {
    const Result<SearchOutcome> outcome = (*find_searcher(name))->search(request);
    ASSERT_FALSE(outcome.has_value()) << name;
    EXPECT_EQ(outcome.error().message, "method '" + std::string(name) + "' has no setting 'beta'");
  }
  request.settings = {};
  request.settings.starts = {"random"};
  for (const char* name : {"exhaustive", "random"}) {
    EXPECT_FALSE((*find_searcher(name))->search(request).has_value()) << name;
  }
}

TEST(Searchers, RefuseUnknownStartsAndProposalsByTheNearestName) {
  const auto test = tiny_problem();
  SearchRequest request{test->problem(), {10}, 0, {}, {}};
  request.settings.starts = {"data_paralel"};
  const Result<SearchOutcome> start = (*find_searcher("mcmc"))->search(request);
  ASSERT_FALSE(start.has_value());
  EXPECT_NE(start.error().message.find("did you mean 'data_parallel'"), std::string::npos);
  request.settings = {};
  request.settings.proposals = "unifrom";
  const Result<SearchOutcome> proposals = (*find_searcher("mcmc"))->search(request);
  ASSERT_FALSE(proposals.has_value());
  EXPECT_NE(proposals.error().message.find("did you mean 'uniform'"), std::string::npos);
  request.settings = {};
  request.settings.beta = -1;
  EXPECT_FALSE((*find_searcher("mcmc"))->search(request).has_value());
}

TEST(Mcmc, EndsAChainThatHasNotImprovedForHalfOfItsLength) {
  const auto test = tiny_problem();
  const SearchOutcome outcome =
      search(**find_searcher("mcmc"), {test->problem(), {100000}, 0, {}, {}});
  EXPECT_LT(outcome.evaluations, 100000u);
  EXPECT_EQ(outcome.stop_reason, "no improvement for half of the search");
}

}  // namespace
}  // namespace soapbox::strategies
