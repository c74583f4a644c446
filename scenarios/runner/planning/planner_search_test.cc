// soapbox search with planners, run as a user would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "results/store.h"
#include "results/table.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/parallel_problem.h"
#include "scenarios/runner/planning/planner_search.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/test_program.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<std::string> search(const std::string& method, std::vector<std::string> more = {}) {
  std::vector<std::string> words = {"search",    "--method",  method,  "--model",
                                    "bert_huge", "--cluster", "env_b", "--global-batch",
                                    "16",        "--format",  "json"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

double number(const json& row, const char* key) {
  return row.at(key).get<double>();
}

TEST(PlannerSearch, TheJointSearchIsProvenAndNoRivalBeatsIt) {
  const ProgramFolder folder;
  const Ran ran = folder.run(search("miqp"));
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  const json joint = json::parse(ran.output);
  EXPECT_EQ(joint.at("proven"), true);
  EXPECT_EQ(joint.at("gap"), 0.0);
  EXPECT_EQ(joint.at("strategy_by_layer").size(), 34u);
  EXPECT_TRUE(joint.at("infeasible_reason").is_null());
  EXPECT_GT(number(joint, "table_cpu_s"), 0);
  EXPECT_LT(number(joint, "objective_s"), number(joint, "iteration_time_s") * 1.25);
  for (const char* rival : {"galvatron", "alpa", "megatron", "intra_only", "inter_only"}) {
    const Ran other = folder.run(search(rival));
    ASSERT_EQ(other.exit_code, 0) << other.messages;
    const json row = json::parse(other.output);
    EXPECT_GE(number(row, "objective_s"), number(joint, "objective_s") * (1 - 1e-9)) << rival;
    EXPECT_GT(number(row, "iteration_time_s"), number(joint, "iteration_time_s")) << rival;
  }
}

// The proof is checked against tables built anew: for the same costs it holds, for others not.
TEST(PlannerSearch, TheProofOfTheSearchIsChecked) {
  const ProgramFolder folder;
  const std::string path = folder.path("proof.json");
  const Ran ran = folder.run(search("miqp", {"--certificate", path}));
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  const json found = json::parse(ran.output);
  EXPECT_LE(number(found, "proof_cpu_s"), number(found, "search_cpu_s"));
  const Ran checked = folder.run(search("miqp", {"--check", path}));
  ASSERT_EQ(checked.exit_code, 0) << checked.messages;
  const json row = json::parse(checked.output);
  EXPECT_EQ(row.at("proven"), true);
  EXPECT_NEAR(number(row, "objective_s"), number(found, "objective_s"), 1e-9);
  EXPECT_EQ(row.at("cells"), found.at("cells"));
  const Ran others = folder.run(search("miqp", {"--check", path, "--set", "backward=profiled"}));
  const Ran fewer = folder.run(search("miqp", {"--check", path, "--pp", "2"}));
  EXPECT_EQ(others.exit_code, 0) << others.messages;  // the default, named
  EXPECT_EQ(fewer.exit_code, static_cast<int>(ExitCode::kBadInput));
  const Ran changed = folder.run(search("miqp", {"--check", path, "--set", "overlap=none"}));
  EXPECT_EQ(changed.exit_code, static_cast<int>(ExitCode::kBadInput));
  EXPECT_THAT(changed.messages, HasSubstr("another instance"));
  EXPECT_EQ(folder.run(search("alpa", {"--certificate", path})).exit_code, 2);
  EXPECT_EQ(folder.run(search("miqp", {"--certificate", path, "--check", path})).exit_code, 2);
}

// UniAP, ablation on EnvB: without a pipeline the gradients of all layers cross the 10 Gbit/s link.
TEST(PlannerSearch, WithoutAPipelineBertHugeIsSlowerByAFactorOnSlowLinks) {
  const ProgramFolder folder;
  const json joint = json::parse(folder.run(search("miqp")).output);
  const json intra = json::parse(folder.run(search("intra_only")).output);
  EXPECT_EQ(intra.at("pp"), 1);
  EXPECT_EQ(joint.at("pp"), 2);  // one stage per node
  EXPECT_GT(number(intra, "iteration_time_s"), 2.5 * number(joint, "iteration_time_s"));
}

TEST(PlannerSearch, TooLittleMemoryIsExplainedByStageAndComponent) {
  const ProgramFolder folder;
  const Ran ran = folder.run({"search", "--method", "miqp", "--model", "llama_13b", "--cluster",
                              "env_b", "--global-batch", "8", "--format", "json"});
  EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kInfeasible));
  const json row = json::parse(ran.output);
  EXPECT_TRUE(row.at("iteration_time_s").is_null());
  EXPECT_TRUE(row.at("strategy_by_layer").is_null());
  EXPECT_EQ(row.at("failure"), "no solution");
  EXPECT_EQ(row.at("proven"), true);
  EXPECT_THAT(row.at("infeasible_reason").get<std::string>(), HasSubstr("GB: states "));
}

TEST(PlannerSearch, ThePlanIsWrittenForGalvatron) {
  const ProgramFolder folder;
  const std::string path = folder.path("plan.json");
  ASSERT_EQ(folder.run(search("megatron", {"--galvatron-out", path})).exit_code, 0);
  std::ifstream file(path);
  const json plan = json::parse(file);
  EXPECT_EQ(plan.at("global_bsz"), 16);
  EXPECT_EQ(plan.at("pp_deg"), 2);
  EXPECT_EQ(plan.at("pp_division"), "16,16");  // of the 32 blocks
}

// Plans of one uniform strategy on the 8 devices, with micro-batches of 16, 8, 4, 2 and 1 samples:
// tp x dp and sharding with dp dividing the samples. pp 1: 7 + 7 + 5 + 3 + 1, pp 2: 5 + 5 + 5 + 3 +
// 1, pp 4: 3 + 3 + 3 + 3 + 1, pp 8: 5.
TEST(PlannerSearch, TheOracleSimulatesAllThatCouldHaveBeenChosen) {
  const ProgramFolder folder;
  const Ran ran = folder.run(search("miqp", {"--oracle", "40", "--seed", "3"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  const json row = json::parse(ran.output);
  EXPECT_EQ(row.at("grid_plans"), 23 + 19 + 13 + 5);
  EXPECT_GE(number(row, "oracle_candidates"), 60 + 40);
  EXPECT_LE(number(row, "oracle_best_s"), number(row, "iteration_time_s"));  // which is one of them
  EXPECT_NEAR(number(row, "oracle_gap"),
              number(row, "iteration_time_s") / number(row, "oracle_best_s") - 1, 1e-12);
  EXPECT_LT(number(row, "oracle_gap"), 0.05);
  EXPECT_GT(number(row, "oracle_spearman"), number(row, "oracle_kendall"));
  EXPECT_GT(number(row, "oracle_kendall"), 0.7);
  EXPECT_GT(number(row, "grid_spread"), 9);  // the paper's is up to 9
  const json again =
      json::parse(folder.run(search("miqp", {"--oracle", "40", "--seed", "3"})).output);
  for (const char* key : {"oracle_candidates", "oracle_best_s", "oracle_kendall"}) {
    EXPECT_EQ(again.at(key), row.at(key)) << key;
  }
}

// Plans are priced as every other Transformer plan is: with the profiles fitted to the kernels and
// the collectives of the cluster's devices.
TEST(PlannerSearch, PlansArePricedByTheFittedProfiles) {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  ASSERT_TRUE(scenarios) << scenarios.error().message;
  for (const char* cluster : {"dgx_v100", "dgx_a100"}) {
    PlannerSearchSpec spec;
    spec.method = "megatron";
    spec.problem.model = "bert_huge";
    spec.problem.cluster = cluster;
    spec.global_batch = 32;
    const Result<PlannerSearchOutcome> found = planner_search(spec);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_NE(found->report(), nullptr) << cluster;
    const auto loaded = LoadedParallelProblem::load(
        *scenarios,
        {.model = spec.problem.model, .cluster = cluster, .devices = {}, .seq_len = {}});
    ASSERT_TRUE(loaded) << loaded.error().message;
    ParallelProblem problem = (*loaded)->problem();
    problem.factors = found->loaded->problem().factors;  // planners count what their formula counts
    const Outcome again = simulate_parallel(problem, *found->plan).outcome;
    ASSERT_TRUE(std::holds_alternative<Report>(again)) << cluster;
    EXPECT_EQ(std::get<Report>(again).iteration_time, found->report()->iteration_time) << cluster;
  }
}

// A race of planners: one command, all of it in the database, and not run twice.
TEST(PlannerSearch, PlannersRaceAndTheirRowsAreStored) {
  const ProgramFolder folder;
  const std::string experiment = folder.path("small.toml");
  std::ofstream(experiment) << "published = \"" SOAPBOX_SOURCE_DIR
                               "/results/reference/uniap_throughput.csv\"\n"
                            << R"(name = "small"
baseline = "megatron"
[[instances]]
models = ["bert_huge"]
clusters = ["env_b"]
global_batch = [16]
[[instances]]
models = ["llama_13b"]
clusters = ["env_b"]
global_batch = [8]
[[methods]]
planner = "miqp"
oracle = 10
[[methods]]
planner = "miqp"
cost_model = "own"
label = "miqp_own"
reference = "miqp"
[[methods]]
planner = "megatron"
)";
  const std::string db = folder.path("small.db");
  const Ran dry = folder.run({"race", experiment, "--db", db, "--dry-run", "--format", "json"});
  EXPECT_TRUE(json::parse(dry.output)[0].at("estimate_s").is_null()) << dry.output;
  EXPECT_THAT(dry.messages, HasSubstr("unknown time"));
  const Ran ran = folder.run({"race", experiment, "--db", db, "--format", "json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  const json rows = json::parse(ran.output);
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[0].at("status"), "ok");
  EXPECT_GT(rows[0].at("speedup_over_megatron").get<double>(), 1);
  EXPECT_EQ(rows[3].at("status"), "infeasible");
  // The paper has BERT-Huge on EnvB; of a TITAN Xp there is only the datasheet.
  EXPECT_FALSE(rows[1].at("error_percent").is_null());
  EXPECT_THAT(ran.messages, HasSubstr("devices by their datasheets alone in 1\n"));
  const Ran again = folder.run({"race", experiment, "--db", db, "--format", "json"});
  EXPECT_EQ(again.output, ran.output);
  EXPECT_THAT(again.messages, HasSubstr("stored before"));
  Result<results::Store> store = results::Store::open(db);
  ASSERT_TRUE(store);
  const Result<results::Table> plannings = store->table("plannings");
  ASSERT_TRUE(plannings) << plannings.error().message;
  const json stored = json::parse(results::render(*plannings, results::Format::kJson));
  ASSERT_EQ(stored.size(), 6u);
  size_t with_oracle = 0;
  for (const json& row : stored) {
    EXPECT_FALSE(row.at("cost_model").is_null());
    with_oracle += row.at("oracle_gap").is_null() ? 0 : 1;
    // Analytic and simulated figures are different columns.
    EXPECT_EQ(row.at("simulated_s").is_null(), row.at("objective_s").is_null());
  }
  EXPECT_EQ(with_oracle, 1u);
}

// Millions of plans to simulate, or tables of 24 + 24 layers on 1024 samples: Ctrl-C comes amid
// them.
TEST(PlannerSearch, CtrlCGivesTheBestPlanSoFarAndStoresNothing) {
  const ProgramFolder folder;
  const Ran oracle = folder.run_and_interrupt(
      search("miqp", {"--oracle", "1000000", "--db", "x.db", "--out", "plan.json"}));
  EXPECT_EQ(oracle.exit_code, 130) << oracle.messages;
  EXPECT_THAT(oracle.messages, HasSubstr("best plan so far"));
  const json row = json::parse(oracle.output);
  EXPECT_GT(number(row, "iteration_time_s"), 0);
  EXPECT_FALSE(row.contains("oracle_gap"));
  EXPECT_TRUE(std::filesystem::exists(folder.path("plan.json")));
  const Ran rows = folder.run({"export", "runs", "--db", "x.db", "--format", "json"});
  EXPECT_EQ(json::parse(rows.output), json::array());
  const Ran alpa =
      folder.run_and_interrupt({"search", "--method", "alpa", "--model", "t5_large", "--cluster",
                                "env_d", "--global-batch", "1024", "--format", "json"});
  EXPECT_EQ(alpa.exit_code, 130) << alpa.messages;
  EXPECT_EQ(json::parse(alpa.output).at("proven"), false);
}

TEST(PlannerSearch, ASearchIsStoredToo) {
  const ProgramFolder folder;
  const std::string db = folder.path("one.db");
  ASSERT_EQ(folder.run(search("megatron", {"--db", db})).exit_code, 0);
  EXPECT_THAT(folder.run(search("megatron", {"--db", db})).messages, HasSubstr("was stored"));
  Result<results::Store> store = results::Store::open(db);
  EXPECT_EQ(store->table("plannings")->rows().size(), 1u);
}

TEST(PlannerSearch, TellsWhatIsAllowed) {
  const ProgramFolder folder;
  const struct {
    std::vector<std::string> words;
    std::string part;
  } cases[] = {
      {search("miqp", {"--pp", "3"}), "--pp 3 does not divide the 8 devices"},
      {search("miqp", {"--microbatches", "5"}), "does not divide the global batch of 16"},
      {search("miqp", {"--budget", "5"}), "--budget is not for planners"},
      {search("miqp", {"--seed", "5"}), "--seed is not for planners without --oracle"},
      {search("miqp", {"--precision", "fp23"}), "did you mean"},
      {search("miqp", {"--set", "memory"}), "is not SWITCH=VALUE"},
      {search("miqp", {"--set", "memory=gpip"}), "did you mean 'gpipe'?"},
      {search("miqp", {"--set", "memori=gpipe"}), "did you mean 'memory'?"},
      {{"search", "--method", "mcmc", "--model", "lenet", "--cluster", "k80_16x4", "--pp", "2"},
       "--pp is for planners"},
      {{"search", "--method", "miqp", "--model", "bert_huge", "--cluster", "env_b"},
       "a planner needs --global-batch N"},
  };
  for (const auto& [words, part] : cases) {
    const Ran ran = folder.run(words);
    EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kUsage)) << part;
    EXPECT_THAT(ran.messages, HasSubstr(part));
    EXPECT_EQ(ran.output, "");
  }
}

}  // namespace
}  // namespace soapbox::runner
