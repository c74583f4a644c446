// soapbox certify, run as a user would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/planning/certificate_file.h"
#include "scenarios/runner/test_program.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Four equal layers on two stages: fast (3, memory 4) or small (5, memory 1).
json four_layers(double limit) {
  const json costs = {{0, 1}, {1, 0}};
  return {{"layers", 4},
          {"strategies", 2},
          {"stages", 2},
          {"microbatches", 3},
          {"edges", {{0, 1}, {1, 2}, {2, 3}}},
          {"compute", {{3, 5}, {3, 5}, {3, 5}, {3, 5}}},
          {"memory", {{4, 1}, {4, 1}, {4, 1}, {4, 1}}},
          {"memory_limit", limit},
          {"reshard", {costs, costs, costs}},
          {"reshard_cross", {costs, costs, costs}}};
}

std::string text_of(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

struct Certified {
  ProgramFolder folder;
  std::string instance;
  std::string certificate;
  explicit Certified(const json& in)
      : instance(folder.file("in.json", in.dump())), certificate(folder.path("proof.json")) {
    solved = folder.run({"solve", instance, "--certificate", certificate, "--format", "json"});
  }
  Ran check() const { return folder.run({"certify", instance, certificate, "--format", "json"}); }
  Ran solved;
};

// Memory 5 holds one fast and one small layer: each stage takes 3 + 1 + 5 = 9, none is cheaper;
// with equal neighbours at the boundary 9 + 9 + 2 x 9 = 36.
TEST(CertifyCommand, AcceptsWhatSolveWrote) {
  const Certified c(four_layers(5));
  ASSERT_EQ(c.solved.exit_code, 0) << c.solved.messages;
  EXPECT_EQ(json::parse(c.solved.output).at("objective"), 36);
  const Ran checked = c.check();
  ASSERT_EQ(checked.exit_code, 0) << checked.messages;
  const json row = json::parse(checked.output);
  EXPECT_EQ(row.at("holds"), true);
  EXPECT_EQ(row.at("proven"), true);
  EXPECT_EQ(row.at("objective"), 36);
  EXPECT_EQ(row.at("bound"), 36);
}

TEST(CertifyCommand, ProvesThatThereIsNoPlan) {
  const Certified c(four_layers(1));
  EXPECT_EQ(c.solved.exit_code, static_cast<int>(ExitCode::kInfeasible));
  const Ran checked = c.check();
  ASSERT_EQ(checked.exit_code, 0) << checked.messages;
  const json row = json::parse(checked.output);
  EXPECT_EQ(row.at("proven"), true);
  EXPECT_TRUE(row.at("objective").is_null());
  EXPECT_TRUE(row.at("bound").is_null());
}

TEST(CertifyCommand, RefusesWhatWasChanged) {
  const Certified c(four_layers(5));
  const std::string text = text_of(c.certificate);
  const auto refusal = [&](const std::string& changed) {
    const std::string path = c.folder.file("changed.json", changed);
    const Ran ran = c.folder.run({"certify", c.instance, path});
    EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kBadInput)) << changed;
    EXPECT_EQ(ran.output, "");
    return ran.messages;
  };
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return changed.replace(at, from.size(), to);
  };
  EXPECT_THAT(refusal(replaced("\"bound\"", "\"bund\"")), HasSubstr("bund"));
  EXPECT_THAT(refusal(replaced("certificate 1", "certificate 2")), HasSubstr("format"));
  EXPECT_THAT(refusal(replaced("chain", "chian")), HasSubstr("did you mean 'chain'"));
  EXPECT_THAT(refusal(replaced("\"path\"", "\"pth\"")), HasSubstr("pth"));
  EXPECT_THAT(refusal(replaced("\"digest\": \"", "\"digest\": \"x")), HasSubstr("hexadecimal"));
  EXPECT_THAT(refusal(replaced("\"leaves\": [", "\"leaves\": [1, ")), HasSubstr("rows of 3"));
  EXPECT_THAT(refusal(replaced("\"objective\": ", "\"objective\": 1")), HasSubstr("changed after"));
  EXPECT_THAT(refusal("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{}"), HasSubstr("format"));
  // Every number of it, one more: none goes unnoticed.
  size_t numbers = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool begins = std::isdigit(static_cast<unsigned char>(text[at])) != 0 && at > 0 &&
                        std::string_view(" [\n").find(text[at - 1]) != std::string::npos;
    if (!begins) continue;
    size_t length = 0;
    const int64_t number = std::stoll(text.substr(at), &length);
    std::string changed = text;
    changed.replace(at, length, std::to_string(number + 1));
    EXPECT_FALSE(certificate_from_json(changed, "changed.json")) << "offset " << at;
    ++numbers;
  }
  EXPECT_GT(numbers, 15U);
}

TEST(CertifyCommand, RefusesAnotherInstance) {
  const Certified c(four_layers(5));
  const std::string other = c.folder.file("other.json", four_layers(6).dump());
  const Ran ran = c.folder.run({"certify", other, c.certificate});
  EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kBadInput));
  EXPECT_THAT(ran.messages, HasSubstr("another instance"));
  EXPECT_EQ(c.folder.run({"certify", other}).exit_code, 2);
}

}  // namespace
}  // namespace soapbox::runner
