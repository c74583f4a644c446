// The real program on real input, good and bad: exit status, one line of message, nothing half
// done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "results/store.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/test_program.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kScenarios = SOAPBOX_SOURCE_DIR "/scenarios/";

std::vector<std::string> lenet(std::vector<std::string> more) {
  std::vector<std::string> words = {"--model", "lenet", "--cluster", "p100_4x4", "--devices", "4"};
  words.insert(words.begin(), more.front());
  words.insert(words.end(), more.begin() + 1, more.end());
  return words;
}

// A refusal: the documented status, one line, and no result.
void expect_refusal(const Ran& ran, ExitCode code, const std::string& part) {
  EXPECT_EQ(ran.exit_code, static_cast<int>(code)) << ran.messages;
  EXPECT_EQ(ran.output, "");
  EXPECT_EQ(std::count(ran.messages.begin(), ran.messages.end(), '\n'), 1) << ran.messages;
  EXPECT_THAT(ran.messages, HasSubstr(part));
}

class Program : public testing::Test {
 protected:
  ProgramFolder folder_;

  // No database at all, or one without a run.
  void expect_no_row(const std::string& name) const {
    if (!std::filesystem::exists(folder_.path(name))) return;
    Result<results::Store> store =
        results::Store::open(folder_.path(name), results::OpenMode::kRead);
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ(store->table("runs")->rows().size(), 0u);
  }
  std::string experiment(const std::string& methods, const std::string& instances =
                                                         "models = [\"lenet\"]\n"
                                                         "clusters = [\"p100_4x4\"]\n"
                                                         "devices = [2, 4]\n") const {
    return folder_.file(
        "e.toml", "name = \"tiny\"\nbaseline = \"data_parallel\"\n\n[[instances]]\n" + instances +
                      "\n[[methods]]\nrecipe = \"data_parallel\"\n\n" + methods);
  }
};

const std::string kMcmc = "[[methods]]\nsearch = \"mcmc\"\nbudget = 40\nseeds = [1, 2]\n";

TEST_F(Program, EveryCommandExplainsItself) {
  for (const CommandRow& row : command_table()) {
    const Ran ran = folder_.run({std::string(row.name), "--help"});
    EXPECT_EQ(ran.exit_code, 0) << row.name;
    EXPECT_THAT(ran.output, StartsWith("soapbox " + std::string(row.name)));
    EXPECT_EQ(ran.messages, "");
  }
  EXPECT_THAT(folder_.run({"--help"}).output, HasSubstr("simulate"));
  EXPECT_THAT(folder_.run({"--version"}).output, HasSubstr(std::string(kVersion)));
}

TEST_F(Program, ListsWhatTheOtherCommandsAccept) {
  const json models = json::parse(folder_.run({"list", "models", "--format", "json"}).output);
  EXPECT_THAT(models.dump(), AllOf(HasSubstr("alexnet"), HasSubstr("nmt")));
  for (const std::string kind : {"clusters", "hardware", "methods", "networks", "recipes"}) {
    const Ran ran = folder_.run({"list", kind, "--format", "csv"});
    EXPECT_EQ(ran.exit_code, 0) << ran.messages;
    EXPECT_GE(std::count(ran.output.begin(), ran.output.end(), '\n'), 2) << kind;
  }
}

TEST_F(Program, SimulateReportsOneIteration) {
  const Ran ran = folder_.run(lenet({"simulate", "--format", "json"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  const json object = json::parse(ran.output);
  // The batch is 64 for each of 4 devices; throughput follows from the iteration time.
  EXPECT_EQ(object["batch"], 256);
  const double iteration_s = object["iteration_time_s"];
  EXPECT_GT(iteration_s, 0);
  EXPECT_DOUBLE_EQ(object["samples_per_s"], 256 / iteration_s);
  EXPECT_DOUBLE_EQ(object["samples_per_s_per_device"], 64 / iteration_s);
  for (const char* const key : {"communication_bytes", "compute_s_total", "tasks", "events"}) {
    EXPECT_TRUE(object[key].is_number()) << key;
  }
  EXPECT_TRUE(object["provenance"].is_string());
}

// While a device computes and communicates at once each is slower. Where every task is stretched by
// the factor at most, a plan without a choice of order takes at most so much longer.
TEST_F(Program, OverlapSlowsAStepDownByAtMostItsFactor) {
  const auto time = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"simulate", "--network", "fair", "--format", "json"};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = folder_.run(lenet(words));
    EXPECT_EQ(ran.exit_code, 0) << ran.messages;
    return json::parse(ran.output)["iteration_time_s"].get<double>();
  };
  const double alone = time({});
  EXPECT_EQ(time({"--compute-slowdown", "1", "--communication-slowdown", "1"}), alone);
  const double slowed = time({"--compute-slowdown", "1.5", "--communication-slowdown", "1.5"});
  EXPECT_GT(slowed, alone);
  EXPECT_LE(slowed, alone * 1.5);
}

TEST_F(Program, OverlapFactorsAreRefusedWhereTheyMeanNothing) {
  expect_refusal(folder_.run(lenet({"simulate", "--compute-slowdown", "1.2"})), ExitCode::kUsage,
                 "--compute-slowdown needs --network fair");
  expect_refusal(folder_.run(lenet({"search", "--method", "mcmc", "--network", "fair",
                                    "--communication-slowdown", "0.5"})),
                 ExitCode::kUsage, "'0.5' is not a number from 1 to 1000");
}

// A run with factors is another run, and its timeline can be exported again.
TEST_F(Program, OverlapFactorsBelongToARunsIdentity) {
  const std::string db = "factors.db";
  const auto search = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"search",    "--method", "random", "--budget", "3",
                                      "--network", "fair",     "--db",   db};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = folder_.run(lenet(words));
    EXPECT_EQ(ran.exit_code, 0) << ran.messages;
    const size_t at = ran.messages.find("run ");
    return ran.messages.substr(at + 4, ran.messages.find(' ', at + 4) - at - 4);
  };
  const std::string plain = search({});
  const std::string slowed = search({"--compute-slowdown", "1.25"});
  EXPECT_NE(plain, slowed);
  const Ran exported = folder_.run({"export", "trace", "--db", db, "--run", slowed});
  EXPECT_EQ(exported.exit_code, 0) << exported.messages;
}

TEST_F(Program, ABatchBeyondAllTrainingIsRefused) {
  expect_refusal(folder_.run(lenet({"simulate", "--batch", "1099511627776"})), ExitCode::kUsage,
                 "not a whole number from 1 to 16777216");
}

TEST_F(Program, TheGlobalBatchCanBeGiven) {
  const Ran ran = folder_.run(lenet({"simulate", "--batch", "128", "--format", "json"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  EXPECT_EQ(json::parse(ran.output)["batch"], 128);
}

TEST_F(Program, AFoundPlanSimulatesToTheTimeOfItsSearch) {
  const Ran found = folder_.run(lenet({"search", "--method", "mcmc", "--budget", "60", "--seed",
                                       "3", "--out", "plan.json", "--format", "json"}));
  ASSERT_EQ(found.exit_code, 0) << found.messages;
  const json search = json::parse(found.output);
  EXPECT_LE(search["evaluations"], 60);  // fewer where half of them bring nothing
  EXPECT_LE(search["best_at_evaluation"], search["evaluations"]);
  EXPECT_GE(search["search_cpu_s"], 0);
  const Ran again = folder_.run(lenet({"simulate", "--plan", "plan.json", "--trace", "trace.json",
                                       "--graphviz", "plan.dot", "--format", "json"}));
  ASSERT_EQ(again.exit_code, 0) << again.messages;
  EXPECT_EQ(json::parse(again.output)["trace_hash"], search["trace_hash"]);
  // One complete event for each task.
  const json trace = json::parse(results::read_bytes(folder_.path("trace.json")));
  const auto& events = trace["traceEvents"];
  EXPECT_EQ(
      std::count_if(events.begin(), events.end(), [](const json& e) { return e["ph"] == "X"; }),
      json::parse(again.output)["tasks"].get<int64_t>());
  EXPECT_THAT(results::read_bytes(folder_.path("plan.dot")), StartsWith("digraph \"lenet\""));
}

TEST_F(Program, CheckSaysWhatIsInAnInput) {
  const Ran model = folder_.run({"check", "model", "lenet", "--format", "json"});
  // LeNet-5 by hand: 156 + 2,416 + 48,120 + 10,164 + 850 parameters.
  EXPECT_EQ(json::parse(model.output)["parameters"], 61'706);
  const Ran cluster = folder_.run({"check", "cluster", "p100_4x4", "--format", "json"});
  EXPECT_EQ(json::parse(cluster.output)["devices"], 16);
  ASSERT_EQ(folder_.run(lenet({"search", "--method", "random", "--budget", "2", "--out", "p.json"}))
                .exit_code,
            0);
  const Ran plan = folder_.run({"check", "p.json", "--format", "json"});
  EXPECT_EQ(json::parse(plan.output)["devices"], 4) << plan.messages;
  const Ran experiment = folder_.run(
      {"check", "experiment", kScenarios + "experiments/quickstart.toml", "--format", "json"});
  EXPECT_EQ(json::parse(experiment.output)["runs"], 36) << experiment.messages;
}

TEST_F(Program, TransformersAreModelsByNameAndByConfigFile) {
  const Ran named = folder_.run({"check", "model", "llama2_7b", "--format", "json"});
  EXPECT_EQ(json::parse(named.output)["parameters"], 6'738'415'616) << named.messages;
  const std::string gpt2 =
      R"({"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
          "vocab_size": 50257, "mystery": 1})";
  folder_.file("config.json", gpt2);
  const Ran config = folder_.run({"check", "./config.json", "--format", "json"});
  EXPECT_EQ(json::parse(config.output)["parameters"], 124'439'808) << config.messages;
  EXPECT_THAT(config.messages, HasSubstr("key 'mystery' (line 2) is not known"));
  for (const char* folder : {".", "./"}) {
    const Ran read = folder_.run({"check", "model", folder, "--format", "json"});
    EXPECT_EQ(json::parse(read.output)["parameters"], 124'439'808) << read.messages;
  }
  const Ran longer =
      folder_.run({"check", "model", "gpt2_small", "--seq-len", "2048", "--format", "json"});
  EXPECT_EQ(json::parse(longer.output)["parameters"], 124'439'808 + 1024 * 768);
  expect_refusal(folder_.run({"check", "model", "lenet", "--seq-len", "8"}), ExitCode::kUsage,
                 "--seq-len is for Transformers, and 'lenet' is none");
}

TEST_F(Program, TransformersAreSimulatedOperatorByOperator) {
  const Ran ran = folder_.run({"simulate", "--model", "bert_huge", "--cluster", "dgx_a100",
                               "--recipe", "data_parallel", "--format", "json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  EXPECT_EQ(json::parse(ran.output)["batch"], 32);
  expect_refusal(folder_.run({"simulate", "--model", "mixtral_8x7b", "--cluster", "dgx_a100"}),
                 ExitCode::kBadInput, "tokens choose their experts at run time");
}

TEST_F(Program, AnImportedTopologyIsACluster) {
  folder_.file("topo.txt",
               "\tGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\n"
               "GPU0\t X \tNV12\tPXB\t0-31\t0\nGPU1\tNV12\t X \tPXB\t0-31\t0\n"
               "NIC0\tPXB\tPXB\t X \t\t\n");
  const Ran made = folder_.run({"import", "topo", "topo.txt", "--gpu", "A100-SXM4-40GB", "--nodes",
                                "8", "--nic-gbits", "200", "--out", "mine.toml"});
  ASSERT_EQ(made.exit_code, 0) << made.messages;
  const Ran cluster =
      folder_.run({"check", "cluster", "mine.toml", "--devices", "16", "--format", "json"});
  EXPECT_EQ(json::parse(cluster.output)["nodes"], 8) << cluster.messages;
  EXPECT_EQ(folder_.run({"simulate", "--model", "lenet", "--cluster", "mine.toml"}).exit_code, 0);
  expect_refusal(folder_.run({"import", "topo", "topo.txt"}), ExitCode::kUsage, "--gpu");
  expect_refusal(folder_.run({"import", "lstopo", "topo.txt", "--gpu", "T4"}), ExitCode::kUsage,
                 "unknown kind of topology 'lstopo'");
  expect_refusal(folder_.run({"import", "nccl", "topo.txt", "--gpu", "T4"}), ExitCode::kBadInput,
                 "topo.txt:1:2: not well-formed XML");
}

TEST_F(Program, UnknownWordsAreUsageErrors) {
  expect_refusal(folder_.run({"simulat"}), ExitCode::kUsage, "did you mean 'simulate'");
  expect_refusal(folder_.run(lenet({"simulate", "--devcies", "4"})), ExitCode::kUsage,
                 "did you mean '--devices'");
  expect_refusal(folder_.run(lenet({"simulate", "--devices", "8"})), ExitCode::kUsage, "twice");
  expect_refusal(folder_.run({"simulate", "--model", "lenet"}), ExitCode::kUsage, "--cluster");
  expect_refusal(folder_.run(lenet({"simulate", "--budget", "8"})), ExitCode::kUsage, "--budget");
  expect_refusal(folder_.run({"check", "model", "lenet", "--devices", "4"}), ExitCode::kUsage,
                 "--devices does not apply");
}

TEST_F(Program, UnknownNamesAreRefusedWithTheNearestOne) {
  const auto simulate = [&](const std::string& model, const std::string& cluster,
                            const std::string& option, const std::string& value) {
    return folder_.run({"simulate", "--model", model, "--cluster", cluster, option, value});
  };
  expect_refusal(simulate("alexnt", "p100_4x4", "--devices", "1"), ExitCode::kBadInput,
                 "did you mean 'alexnet'");
  expect_refusal(simulate("lenet", "p100_4x5", "--devices", "1"), ExitCode::kBadInput,
                 "did you mean 'p100_4x4'");
  expect_refusal(simulate("lenet", "p100_4x4", "--recipe", "exprt"), ExitCode::kUsage,
                 "did you mean 'expert'");
  expect_refusal(simulate("lenet", "p100_4x4", "--network", "fido"), ExitCode::kUsage,
                 "did you mean 'fifo'");
  expect_refusal(simulate("lenet", "p100_4x4", "--devices", "17"), ExitCode::kBadInput, "16");
}

TEST_F(Program, ABadClusterFileIsRefusedAtItsPlace) {
  const std::string good = results::read_bytes(kScenarios + "clusters/p100_4x4.toml");
  const auto with = [&](const std::string& old_text, const std::string& new_text) {
    std::string text = good;
    const size_t at = text.find(old_text);
    EXPECT_NE(at, std::string::npos) << old_text;
    text.replace(at, old_text.size(), new_text);
    folder_.file("c.toml", text);
    return folder_.run({"simulate", "--model", "lenet", "--cluster", "c.toml"});
  };
  const size_t begin = good.find("bandwidth = ") + std::string("bandwidth = ").size();
  const std::string bandwidth = good.substr(begin, good.find('"', begin + 1) + 1 - begin);
  const Ran unchanged = with(bandwidth, bandwidth);
  EXPECT_EQ(unchanged.exit_code, 0) << unchanged.messages;
  const Ran unknown_key = with("bandwidth =", "bandwith =");
  expect_refusal(unknown_key, ExitCode::kBadInput, "did you mean 'bandwidth'");
  EXPECT_THAT(unknown_key.messages, testing::ContainsRegex("^c.toml:[0-9]+:[0-9]+: "));
  const Ran no_unit = with(bandwidth, "\"18\"");
  expect_refusal(no_unit, ExitCode::kBadInput, "unit");
  EXPECT_THAT(no_unit.messages, testing::ContainsRegex("^c.toml:[0-9]+:[0-9]+: "));
  const Ran negative = with(bandwidth, "\"-18 GB/s\"");
  expect_refusal(negative, ExitCode::kBadInput, "-18");
  EXPECT_THAT(negative.messages, testing::ContainsRegex("^c.toml:[0-9]+:[0-9]+: "));
}

TEST_F(Program, ABadPlanIsRefusedAtItsPlace) {
  ASSERT_EQ(folder_.run(lenet({"search", "--method", "random", "--budget", "1", "--out", "p.json"}))
                .exit_code,
            0);
  const std::string good = results::read_bytes(folder_.path("p.json"));
  json plan = json::parse(good);
  const auto refused = [&](const json& changed, const std::string& part) {
    folder_.file("bad.json", changed.dump(1));
    const Ran ran = folder_.run(lenet({"simulate", "--plan", "bad.json"}));
    expect_refusal(ran, ExitCode::kBadInput, part);
    EXPECT_THAT(ran.messages, testing::ContainsRegex("^bad.json:[0-9]+:[0-9]+: "));
  };
  json changed = plan;
  changed["model"] = "alexnet";
  refused(changed, "the plan is for model \"alexnet\"");
  changed = plan;
  changed["operators"]["conv1"] = {{"degrees", {{"sample", 3}}}, {"devices", {0, 1, 2}}};
  refused(changed, "3");
  changed = plan;
  changed["operators"]["conv1"] = {{"degrees", json::object()}, {"devices", {4}}};
  refused(changed, "device 4 is out of range");
  changed = plan;
  changed["surprise"] = 1;
  refused(changed, "unknown key 'surprise'");
  const Ran absent = folder_.run(lenet({"simulate", "--plan", "absent.json"}));
  expect_refusal(absent, ExitCode::kBadInput, "absent.json: ");
}

TEST_F(Program, ABadExperimentIsRefusedAtItsPlaceAndMakesNoDatabase) {
  experiment("[[methods]]\nsearch = \"mcmc\"\nbugdet = 5\n");
  const Ran ran = folder_.run({"race", "e.toml"});
  expect_refusal(ran, ExitCode::kBadInput, "did you mean 'budget'");
  EXPECT_THAT(ran.messages, testing::ContainsRegex("^e.toml:14:1: "));
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"e.toml"});
}

TEST_F(Program, AnUnusableDatabaseIsRefusedBeforeTheWork) {
  const std::vector<std::string> search =
      lenet({"search", "--method", "mcmc", "--budget", "20", "--db", "x.db"});
  folder_.file("x.db", "this is not a database, and long enough to be looked at\n");
  expect_refusal(folder_.run(search), ExitCode::kDatabase, "x.db");
  std::filesystem::remove(folder_.path("x.db"));
  ASSERT_EQ(folder_.run(search).exit_code, 0);
  // SQLite keeps user_version in bytes 60 to 63 of the file, big-endian.
  std::string bytes = results::read_bytes(folder_.path("x.db"));
  bytes[61] = 1;
  folder_.file("x.db", bytes);
  expect_refusal(folder_.run(search), ExitCode::kDatabase, "newer");
  expect_refusal(folder_.run({"export", "runs", "--db", "x.db"}), ExitCode::kDatabase, "newer");
  expect_refusal(folder_.run({"export", "runs", "--db", "absent.db"}), ExitCode::kDatabase,
                 "absent.db");
}

TEST_F(Program, AFullDiskIsAnErrorAndLeavesNothingHalfWritten) {
  const std::vector<std::string> into_plan =
      lenet({"search", "--method", "random", "--budget", "2", "--out", "plan.json"});
  expect_refusal(folder_.run_with_file_limit(into_plan, 64), ExitCode::kTryAgain, "plan.json");
  expect_refusal(folder_.run_with_file_limit(lenet({"simulate", "--trace", "t.json"}), 512),
                 ExitCode::kTryAgain, "t.json");
  EXPECT_EQ(folder_.names(), std::vector<std::string>());
  expect_refusal(folder_.run(lenet({"simulate", "--trace", "/dev/full"})), ExitCode::kTryAgain,
                 "No space left");
  const Ran full_stdout = folder_.run_into(lenet({"simulate"}), "/dev/full");
  expect_refusal(full_stdout, ExitCode::kTryAgain, "stdout");
}

TEST_F(Program, ADatabaseOnAFullDiskGetsNoPartialRow) {
  const std::vector<std::string> into_database =
      lenet({"search", "--method", "random", "--budget", "20", "--db", "x.db"});
  // Every size at which the disk may be full, from the first page to the last one.
  for (size_t kib = 4; kib <= 4096; kib *= 2) {
    std::filesystem::remove(folder_.path("x.db"));
    std::filesystem::remove(folder_.path("x.db-wal"));
    std::filesystem::remove(folder_.path("x.db-shm"));
    const Ran ran = folder_.run_with_file_limit(into_database, kib << 10);
    if (ran.exit_code == 0) {
      EXPECT_GT(kib, 4u);
      return;
    }
    expect_refusal(ran, ExitCode::kTryAgain, "x.db");
    if (std::filesystem::file_size(folder_.path("x.db")) > 0 &&
        folder_.run({"export", "runs", "--db", "x.db"}).exit_code == 0) {
      expect_no_row("x.db");
    }
  }
  FAIL() << "4 MiB are not enough for one run";
}

TEST_F(Program, ADatabaseIsAFileWhateverItsName) {
  const Ran ran =
      folder_.run(lenet({"search", "--method", "random", "--budget", "1", "--db", ":memory:"}));
  EXPECT_EQ(ran.exit_code, 0) << ran.messages;
  EXPECT_EQ(folder_.names(), std::vector<std::string>{":memory:"});
}

std::string without_costs_of_time(const Ran& ran) {
  std::string text;
  for (json row : json::parse(ran.output)) {
    for (const char* const key : {"cpu_s", "wall_s", "started_at", "command"}) row.erase(key);
    text += row.dump() + "\n";
  }
  return text;
}

TEST_F(Program, ARaceGivesTheSameRowsForAnyNumberOfJobs) {
  experiment(kMcmc);
  const Ran one = folder_.run({"race", "e.toml", "--db", "one.db", "--jobs", "1"});
  ASSERT_EQ(one.exit_code, 0) << one.messages;
  const Ran two = folder_.run({"race", "e.toml", "--db", "two.db", "--jobs", "2"});
  ASSERT_EQ(two.exit_code, 0) << two.messages;
  for (const std::string what : {"runs", "improvements", "plans"}) {
    const Ran a = folder_.run({"export", what, "--db", "one.db", "--format", "json"});
    const Ran b = folder_.run({"export", what, "--db", "two.db", "--format", "json"});
    EXPECT_EQ(without_costs_of_time(a), without_costs_of_time(b)) << what;
    EXPECT_GT(json::parse(a.output).size(), 0u);
  }
  EXPECT_THAT(one.output, HasSubstr("database: one.db"));
}

TEST_F(Program, ARaceRunsNothingTwice) {
  experiment(kMcmc);
  const Ran first = folder_.run({"race", "e.toml", "--format", "json"});
  ASSERT_EQ(first.exit_code, 0) << first.messages;
  EXPECT_THAT(first.messages, Not(HasSubstr("stored before")));
  const Ran second = folder_.run({"race", "e.toml", "--format", "json"});
  EXPECT_EQ(second.output, first.output);
  // 2 instances x (1 recipe + 2 seeds), each shown as a row that was there.
  size_t shown = 0;
  for (size_t at = 0; (at = second.messages.find("stored before", at)) != std::string::npos; ++at) {
    ++shown;
  }
  EXPECT_EQ(shown, 6u);
  EXPECT_THAT(folder_.names(), testing::Contains("tiny.db"));
}

TEST_F(Program, ADryRunPrintsTheMatrixAndMakesNothing) {
  experiment(kMcmc);
  const Ran ran = folder_.run({"race", "e.toml", "--dry-run", "--format", "json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  EXPECT_EQ(json::parse(ran.output).size(), 6u);
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"e.toml"});
}

TEST_F(Program, AnInterruptedRaceKeepsWholeRunsAndGoesOn) {
  // The last method would take hours; Ctrl-C comes when the first run is reported.
  experiment("[[methods]]\nsearch = \"random\"\nbudget = 100000000\n");
  const Ran stopped =
      folder_.run_and_interrupt({"race", "e.toml", "--db", "x.db", "--jobs", "2"}, "[1/4]");
  EXPECT_EQ(stopped.exit_code, 130) << stopped.messages;
  EXPECT_EQ(stopped.output, "");
  EXPECT_THAT(stopped.messages, HasSubstr("the same command does the rest"));
  const json rows =
      json::parse(folder_.run({"export", "runs", "--db", "x.db", "--format", "json"}).output);
  ASSERT_GE(rows.size(), 1u);
  for (const json& row : rows) EXPECT_EQ(row["method"], "data_parallel");
  experiment("");
  const Ran resumed = folder_.run({"race", "e.toml", "--db", "x.db"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.messages;
  EXPECT_THAT(resumed.messages, HasSubstr("stored before"));
}

TEST_F(Program, AnInterruptedSearchPrintsItsBestAndStoresNothing) {
  std::vector<std::string> words = lenet({"search", "--method", "random", "--budget", "100000000",
                                          "--db", "x.db", "--format", "json"});
  const Ran ran = folder_.run_and_interrupt(words, "best");
  EXPECT_EQ(ran.exit_code, 130);
  EXPECT_GT(json::parse(ran.output)["iteration_time_s"], 0);
  expect_no_row("x.db");
}

TEST_F(Program, ExportGivesAStoredPlanAndItsTimeline) {
  ASSERT_EQ(folder_
                .run(lenet({"search", "--method", "mcmc", "--budget", "30", "--db", "x.db", "--out",
                            "plan.json"}))
                .exit_code,
            0);
  const json rows =
      json::parse(folder_.run({"export", "runs", "--db", "x.db", "--format", "json"}).output);
  ASSERT_EQ(rows.size(), 1u);
  const std::string prefix = rows[0]["identity"].get<std::string>().substr(0, 8);
  const Ran plan = folder_.run({"export", "plan", "--db", "x.db", "--run", prefix});
  EXPECT_EQ(plan.output, results::read_bytes(folder_.path("plan.json")));
  const Ran trace =
      folder_.run({"export", "trace", "--db", "x.db", "--run", prefix, "--out", "trace.json"});
  EXPECT_EQ(trace.exit_code, 0) << trace.messages;
  EXPECT_GT(json::parse(results::read_bytes(folder_.path("trace.json")))["traceEvents"].size(), 0u);
  expect_refusal(folder_.run({"export", "plan", "--db", "x.db", "--run", "zz"}),
                 ExitCode::kBadInput, "no run");
}

}  // namespace
}  // namespace soapbox::runner
