#include "scenarios/runner/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "results/test_files.h"

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

// Line 1 to 16. The tests below replace one piece of it.
const std::string kGood = R"(name = "study"
published = "figure.csv"
baseline = "data_parallel"
[[instances]]
models = ["lenet", "alexnet"]
clusters = ["p100_4x4"]
devices = [4, 8]
[[methods]]
recipe = "data_parallel"
reference = "expert"
[[methods]]
search = "mcmc"
budget = 30
seeds = [7, 8]
label = "found"
)";

const std::string kFigure =
    "model,cluster,strategy,devices,metric,value,grade\n"
    "lenet,p100_4x4,expert,4,samples_per_s_per_device,10,P\n";

class ExperimentFile : public testing::Test {
 protected:
  Result<Experiment> read(const std::string& text) const {
    results::write_bytes(folder_.file("figure.csv"), kFigure);
    results::write_bytes(folder_.file("e.toml"), text);
    return read_experiment(*find_scenarios(), folder_.file("e.toml"));
  }
  // The error without the folder: "e.toml:5:10: ...".
  std::string refusal(const std::string& old_text, const std::string& new_text) const {
    std::string text = kGood;
    const size_t at = text.find(old_text);
    EXPECT_NE(at, std::string::npos) << old_text;
    text.replace(at, old_text.size(), new_text);
    const Result<Experiment> experiment = read(text);
    if (experiment) return "accepted";
    EXPECT_EQ(experiment.error().code, ErrorCode::kBadInput);
    return experiment.error().to_string().substr(folder_.path().string().size() + 1);
  }
  results::ScratchDirectory folder_;
};

TEST_F(ExperimentFile, PlannersRaceWithPlannersOnTransformers) {
  const std::string good =
      "name = \"p\"\n[[instances]]\nmodels = [\"bert_huge\"]\nclusters = [\"env_b\"]\n"
      "global_batch = [8, 16]\n[[methods]]\nplanner = \"alpa\"\ncost_model = \"own\"\n";
  const Result<Experiment> experiment = read(good);
  ASSERT_TRUE(experiment) << experiment.error().to_string();
  EXPECT_TRUE(is_of_planners(*experiment));
  ASSERT_EQ(expand(*experiment).size(), 2u);
  const Result<PlannerSearchSpec> spec = planner_spec(*experiment, expand(*experiment)[1]);
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->global_batch, 16);
  EXPECT_TRUE(spec->own_cost_model);
  const auto refused = [&](const std::string& more) { return read(good + more).error().message; };
  EXPECT_THAT(refused("[[methods]]\nrecipe = \"expert\"\n"),
              HasSubstr("known: planner, cost_model, oracle, label"));
  EXPECT_THAT(refused("[[methods]]\nplanner = \"miqq\"\n"), HasSubstr("miqp"));
  EXPECT_THAT(refused("[[methods]]\nplanner = \"megatron\"\ncost_model = \"own\"\n"),
              HasSubstr("without a cost model"));
}

TEST_F(ExperimentFile, TheMatrixIsModelsByClustersByDevicesByMethodsBySeeds) {
  const Result<Experiment> experiment = read(kGood);
  ASSERT_TRUE(experiment) << experiment.error().to_string();
  EXPECT_EQ(experiment->name, "study");
  EXPECT_EQ(experiment->text, kGood);
  EXPECT_EQ(experiment->published.size(), 1u);
  ASSERT_EQ(experiment->contests.size(), 4u);
  EXPECT_EQ(experiment->contests[1].problem.model, "lenet");
  EXPECT_EQ(experiment->contests[1].problem.devices, 8);
  EXPECT_EQ(experiment->contests[2].problem.model, "alexnet");
  const std::vector<PlannedRun> runs = expand(*experiment);
  ASSERT_EQ(runs.size(), 4u * (1 + 2));
  EXPECT_EQ(runs[2].contest, 0u);
  EXPECT_EQ(runs[2].contestant, 1u);
  EXPECT_EQ(runs[2].seed, 8u);
  EXPECT_EQ(runs[3].contest, 1u);
  EXPECT_EQ(method_of(*experiment, runs[2]).budget, 30u);
  EXPECT_EQ(experiment->contestants[1].label, "found");
}

TEST_F(ExperimentFile, AnInstanceSetsBatchAndBudgetForItself) {
  std::string text = kGood;
  text.replace(text.find("devices = [4, 8]"), 16,
               "devices = [4, 8]\nbatch_per_device = 3\nbudget = 9");
  const Result<Experiment> experiment = read(text);
  ASSERT_TRUE(experiment) << experiment.error().to_string();
  EXPECT_EQ(experiment->contests[0].problem.batch, 3 * 4);
  EXPECT_EQ(experiment->contests[1].problem.batch, 3 * 8);
  const std::vector<PlannedRun> runs = expand(*experiment);
  EXPECT_EQ(method_of(*experiment, runs[0]).budget, 0u) << "a recipe has no budget";
  EXPECT_EQ(method_of(*experiment, runs[1]).budget, 9u);
}

TEST_F(ExperimentFile, AMethodMayCombineGradientsInItsOwnWay) {
  std::string text = kGood;
  text.insert(0, "sync = \"bulk\"\n");
  text += "sync = \"serial\"\n";
  const Result<Experiment> experiment = read(text);
  ASSERT_TRUE(experiment) << experiment.error().to_string();
  EXPECT_EQ(experiment->contestants[0].method.settings.sync, SyncMode::kBulk);
  EXPECT_EQ(experiment->contestants[1].method.settings.sync, SyncMode::kSerial);
}

TEST_F(ExperimentFile, OverlapSlowsDownWhereLinksAreShared) {
  const Result<Experiment> experiment =
      read("network = \"fair\"\ncompute_slowdown = 1.25\n" + kGood);
  ASSERT_TRUE(experiment) << experiment.error().to_string();
  for (const Contest& contest : experiment->contests) {
    EXPECT_EQ(to_string(contest.problem.simulation), "fair compute 1.25");
  }
  const std::string name = "name = \"study\"\n";
  EXPECT_THAT(refusal(name, name + "network = \"fair\"\ncommunication_slowdown = 0.5\n"),
              AllOf(HasSubstr("e.toml:3:26: "), HasSubstr("0.5"), HasSubstr("1000")));
  EXPECT_THAT(refusal(name, name + "network = \"fair\"\ncompute_slowdown = \"much\"\n"),
              AllOf(HasSubstr("e.toml:3:20: "), HasSubstr("number")));
  EXPECT_THAT(refusal(name, name + "compute_slowdown = 1.5\n"),
              AllOf(HasSubstr("e.toml:2:20: "), HasSubstr("needs network = \"fair\"")));
  EXPECT_THAT(refusal(name, name + "network = \"fiar\"\ncompute_slowdown = 1.5\n"),
              AllOf(HasSubstr("e.toml:2:11: "), HasSubstr("did you mean 'fair'")));
}

TEST_F(ExperimentFile, MistakesAreRefusedAtTheirPlaceWithWhatIsAllowed) {
  EXPECT_THAT(refusal("budget = 30", "bugdet = 30"),
              AllOf(HasSubstr("e.toml:13:1: "), HasSubstr("did you mean 'budget'")));
  EXPECT_THAT(refusal("\"alexnet\"]", "\"alexnt\"]"),
              AllOf(HasSubstr("e.toml:5:"), HasSubstr("did you mean 'alexnet'")));
  EXPECT_THAT(refusal("\"mcmc\"", "\"mcm\""),
              AllOf(HasSubstr("e.toml:12:10: "), HasSubstr("did you mean 'mcmc'")));
  EXPECT_THAT(refusal("[4, 8]", "[4, 0]"), AllOf(HasSubstr("e.toml:7:"), HasSubstr("0")));
  EXPECT_THAT(refusal("[4, 8]", "[4, 4]"), HasSubstr("'devices' has 4 twice"));
  EXPECT_THAT(refusal("[4, 8]", "[]"), HasSubstr("at least one"));
  EXPECT_THAT(refusal("30", "-1"), AllOf(HasSubstr("e.toml:13:10: "), HasSubstr("-1")));
  EXPECT_THAT(refusal("30", "\"many\""), HasSubstr("integer"));
  EXPECT_THAT(refusal("\"study\"", "\"../study\""), HasSubstr("letters, digits"));
  EXPECT_THAT(refusal("= \"data_parallel\"\n[[inst", "= \"nobody\"\n[[inst"),
              HasSubstr("unknown method of this experiment 'nobody'"));
  EXPECT_THAT(refusal("\"expert\"", "\"expret\""), HasSubstr("did you mean 'expert'"));
  EXPECT_THAT(refusal("figure.csv", "absent.csv"),
              AllOf(HasSubstr("e.toml:2:"), HasSubstr("absent.csv")));
  EXPECT_THAT(refusal("label = \"found\"", "label = \"data_parallel\""),
              HasSubstr("two methods are called 'data_parallel'"));
  EXPECT_THAT(refusal("search = \"mcmc\"", "search = \"mcmc\"\nrecipe = \"expert\""),
              HasSubstr("either 'recipe' or 'search'"));
  EXPECT_THAT(refusal("reference = \"expert\"", "budget = 3"),
              AllOf(HasSubstr("e.toml:10:1: "), HasSubstr("unknown key 'budget'")));
}

TEST_F(ExperimentFile, TheFilesOfTheProjectAreAccepted) {
  const std::string folder = SOAPBOX_SOURCE_DIR "/scenarios/experiments/";
  // 6 models x 2 clusters x 3 methods; 6 x (5 + 7) x 3, Fig 6 whole.
  const Result<Experiment> quickstart =
      read_experiment(*find_scenarios(), folder + "quickstart.toml");
  ASSERT_TRUE(quickstart) << quickstart.error().to_string();
  EXPECT_EQ(expand(*quickstart).size(), 36u);
  const Result<Experiment> fig6 = read_experiment(*find_scenarios(), folder + "fig6.toml");
  ASSERT_TRUE(fig6) << fig6.error().to_string();
  EXPECT_EQ(expand(*fig6).size(), 216u);
  EXPECT_EQ(fig6->published.size(), 216u);
  const Result<Experiment> uniap = read_experiment(*find_scenarios(), folder + "uniap.toml");
  ASSERT_TRUE(uniap) << uniap.error().to_string();
  EXPECT_EQ(expand(*uniap).size(), 12u * 9u);
  EXPECT_EQ(uniap->published.size(), 8u);
}

}  // namespace
}  // namespace soapbox::runner
