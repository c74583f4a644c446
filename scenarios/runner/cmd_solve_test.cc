// soapbox solve, run as a user would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/planning/instance_file.h"
#include "scenarios/runner/test_program.h"
#include "sim/base/rng.h"
#include "strategies/miqp/milp_backend.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Two layers, two strategies: fast (0.3 s, memory 4) and small (0.5 s, memory 1).
json two_layers(int stages, double limit) {
  return {{"layers", 2},
          {"strategies", 2},
          {"stages", stages},
          {"microbatches", 4},
          {"edges", {{0, 1}}},
          {"compute", {{0.3, 0.5}, {0.3, 0.5}}},
          {"memory", {{4, 1}, {4, 1}}},
          {"memory_limit", std::vector<double>(static_cast<size_t>(stages), limit)},
          {"reshard", {{{0, 0.1}, {0.1, 0}}}},
          {"reshard_cross", {{{0.2, 0.3}, {0.3, 0.2}}}},
          {"memory_model", "gpipe"}};
}

Ran solve(const ProgramFolder& folder, const json& instance, std::vector<std::string> more = {}) {
  std::vector<std::string> words = {"solve", folder.file("in.json", instance.dump()), "--format",
                                    "json"};
  words.insert(words.end(), more.begin(), more.end());
  return folder.run(words);
}

// One stage of limit 5: 0.3 + 0.5 + 0.1, four times. Two of limit 4: 0.3 + 0.3 + 0.2 + 3 x 0.3.
TEST(SolveCommand, PrintsTheOptimum) {
  const ProgramFolder folder;
  for (const char* const solver : {"exact", "brute"}) {
    const Ran one = solve(folder, two_layers(1, 5), {"--solver", solver});
    ASSERT_EQ(one.exit_code, 0) << one.messages;
    const json row = json::parse(one.output);
    EXPECT_EQ(row.at("objective"), 3.6);
    EXPECT_EQ(row.at("bound"), 3.6);
    EXPECT_EQ(row.at("gap"), 0);
    EXPECT_EQ(row.at("proven"), true);
    EXPECT_EQ(row.at("stage"), (json{0, 0}));
    const json two = json::parse(solve(folder, two_layers(2, 4), {"--solver", solver}).output);
    EXPECT_EQ(two.at("objective"), 1.7);
    EXPECT_EQ(two.at("stage"), (json{0, 1}));
    EXPECT_EQ(two.at("strategy"), (json{0, 0}));
    EXPECT_EQ(two.at("solver"), solver);
  }
}

// Small then fast: 0.5 + 0.3 + 0.3 + 3 x 0.5 = 2.6, before twice small with 0.5 + 0.5 + 0.2 + 1.5.
TEST(SolveCommand, NullIsNotAllowed) {
  const ProgramFolder folder;
  json in = two_layers(2, 4);
  in["compute"][0][0] = nullptr;
  const json row = json::parse(solve(folder, in).output);
  EXPECT_EQ(row.at("strategy"), (json{1, 0}));
  EXPECT_EQ(row.at("objective"), 2.6);
}

TEST(SolveCommand, SaysWhyAnInstanceIsInfeasible) {
  const ProgramFolder folder;
  const Ran memory = solve(folder, two_layers(2, 0.5));
  EXPECT_EQ(memory.exit_code, static_cast<int>(ExitCode::kInfeasible));
  const json row = json::parse(memory.output);
  EXPECT_EQ(row.at("proven"), true);
  EXPECT_TRUE(row.at("objective").is_null());
  EXPECT_THAT(row.at("infeasible_reason"), HasSubstr("layer 0 needs at least 1"));
  EXPECT_THAT(memory.messages, HasSubstr("infeasible"));
  const Ran stages = solve(folder, two_layers(3, 4));
  EXPECT_EQ(stages.exit_code, static_cast<int>(ExitCode::kInfeasible));
  EXPECT_THAT(stages.messages, HasSubstr("3 stages"));
}

TEST(SolveCommand, PointsAtWhatIsWrong) {
  const ProgramFolder folder;
  const auto changed = [](const char* key, json value) {
    json in = two_layers(2, 4);
    in[key] = std::move(value);
    return in;
  };
  const struct {
    json instance;
    std::vector<std::string> parts;
  } cases[] = {
      {changed("stages", 0), {":1:", "stages: '0'", "1 to 10000"}},
      {changed("stages", 1.5), {"stages: '1.5'"}},
      {changed("compute", {{0.3, -0.5}, {0.3, 0.5}}), {"compute[0][1]: '-0.5'", "null"}},
      {changed("compute", {{0.3, 0.5}}), {"compute has 1 entries; expected 2", "layers"}},
      {changed("memory", {{4, 1, 1}, {4, 1}}), {"memory[0] has 3 entries; expected 2"}},
      {changed("memory_limit", {4, nullptr}), {"memory_limit[1]: 'null'"}},
      {changed("edges", {{0, 2}}), {"edges[0]: '2'", "from 0 to 1"}},
      {changed("edges", {{1, 1}}), {"edges[0]", "acyclic"}},
      {changed("edges", {{0, 1}, {1, 0}}), {"cycle"}},
      {changed("memory_model", "gpip"), {"gpip", "did you mean 'gpipe'"}},
      {changed("memory_model", "1f1b"), {"memory_per_microbatch"}},
      {changed("long_edge", "free"), {"did you mean 'long_edges'"}},
      {json::array(), {"JSON object"}},
  };
  for (const auto& c : cases) {
    const Ran ran = solve(folder, c.instance);
    EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kBadInput)) << c.instance;
    EXPECT_EQ(ran.output, "");
    for (const std::string& part : c.parts) EXPECT_THAT(ran.messages, HasSubstr(part));
  }
}

TEST(InstanceFile, KnowsLinesAndColumns) {
  const auto message = [](const std::string& text) {
    const Result<miqp::RealInstance> in = instance_from_json(text, "in.json");
    return in ? std::string() : in.error().to_string();
  };
  EXPECT_THAT(message("{\n  \"layers\": 2,\n  \"layers\": 3}"), HasSubstr("in.json:3:3: "));
  EXPECT_THAT(message("{\n  \"layers\": NaN}"), HasSubstr("in.json:2:13: "));
  EXPECT_THAT(message("{\"layers\": 1e400}"), HasSubstr("too large"));
  EXPECT_THAT(message(""), HasSubstr("in.json:1:1: "));
  std::string text = two_layers(2, 4).dump(1);
  text.replace(text.find("\"stages\": 2"), 11, "\"stages\": -2");
  const auto line =
      std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(text.find("\"stages\"")),
                 '\n') +
      1;
  EXPECT_THAT(message(text), HasSubstr("in.json:" + std::to_string(line) + ":12: stages: '-2'"));
}

TEST(SolveCommand, WritesTheLinearModel) {
  const ProgramFolder folder;
  const Ran ran =
      solve(folder, two_layers(2, 4),
            {"--write-lp", folder.path("model.lp"), "--write-mps", folder.path("model.mps")});
  ASSERT_EQ(ran.exit_code, 0) << ran.messages;
  const auto text_of = [&folder](const char* name) {
    std::stringstream text;
    text << std::ifstream(folder.path(name)).rdbuf();
    return text.str();
  };
  EXPECT_THAT(text_of("model.lp"), HasSubstr("Minimize"));
  EXPECT_THAT(text_of("model.lp"), HasSubstr("+ 0.3 y_0_0_0"));
  EXPECT_THAT(text_of("model.mps"), HasSubstr("ENDATA"));
}

// A chain on which general solvers spend minutes, and brute force years.
json many_layers() {
  Rng rng(1);
  const size_t layers = 26;
  const size_t strategies = 8;
  json in = {{"layers", layers},
             {"strategies", strategies},
             {"stages", 4},
             {"microbatches", 16},
             {"edges", json::array()},
             {"compute", json::array()},
             {"memory", json::array()},
             {"memory_limit", {12, 12, 12, 12}},
             {"reshard", json::array()},
             {"reshard_cross", json::array()},
             {"memory_model", "gpipe"}};
  for (size_t u = 0; u < layers; ++u) {
    json compute;
    json memory;
    for (size_t k = 0; k < strategies; ++k) {
      const auto slower = static_cast<double>(k);
      compute.push_back((1 + rng.uniform()) * (1 + 0.3 * slower));
      memory.push_back((1 + rng.uniform()) / (1 + 0.5 * slower));
    }
    in["compute"].push_back(compute);
    in["memory"].push_back(memory);
    if (u == 0) continue;
    in["edges"].push_back({u - 1, u});
    json row(strategies, 0.3);
    in["reshard"].push_back(json(strategies, row));
    in["reshard_cross"].push_back(json(strategies, row));
  }
  return in;
}

TEST(SolveCommand, CtrlCGivesABoundThatHolds) {
  const ProgramFolder folder;
  const double optimum = json::parse(solve(folder, many_layers()).output).at("objective");
  for (const std::string solver : {"milp", "brute"}) {
    if (solver == "milp" && miqp::default_milp_backend() == nullptr) continue;
    const Ran ran = folder.run_and_interrupt(
        {"solve", folder.path("in.json"), "--format", "json", "--solver", solver});
    EXPECT_EQ(ran.exit_code, 130) << solver << ran.messages;
    EXPECT_THAT(ran.messages, HasSubstr("interrupted"));
    const json row = json::parse(ran.output);
    EXPECT_EQ(row.at("status"), "limit");
    EXPECT_LE(row.at("bound").get<double>(), optimum * (1 + 1e-9));
    if (row.at("objective").is_null()) continue;
    EXPECT_GE(row.at("objective").get<double>(), optimum * (1 - 1e-9));
  }
}

TEST(SolveCommand, AsksTheMilpBackendThatIsNamed) {
  const ProgramFolder folder;
  for (const miqp::MilpBackend& backend : miqp::milp_backend_table()) {
    const Ran ran = solve(folder, two_layers(2, 4),
                          {"--solver", "milp", "--milp-backend", std::string(backend.name)});
    if (backend.solve == nullptr) {
      EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kTryAgain));
      EXPECT_THAT(ran.messages, HasSubstr("built without"));
    } else {
      EXPECT_NEAR(json::parse(ran.output).at("objective"), 1.7, 1e-9) << ran.messages;
    }
  }
  const Ran unknown = solve(folder, two_layers(2, 4), {"--milp-backend", "hihgs"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.messages, HasSubstr("did you mean 'highs'"));
  EXPECT_EQ(
      solve(folder, two_layers(2, 4), {"--solver", "brute", "--milp-backend", "cbc"}).exit_code, 2);
}

TEST(SolveCommand, RefusesWrongUsage) {
  const ProgramFolder folder;
  const Ran solver = solve(folder, two_layers(1, 5), {"--solver", "exakt"});
  EXPECT_EQ(solver.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(solver.messages, HasSubstr("did you mean 'exact'"));
  EXPECT_EQ(solve(folder, two_layers(1, 5), {"--time-limit", "-1"}).exit_code, 2);
  EXPECT_EQ(folder.run({"solve"}).exit_code, 2);
  EXPECT_EQ(folder.run({"solve", "nothing.json"}).exit_code, 4);
}

}  // namespace
}  // namespace soapbox::runner
