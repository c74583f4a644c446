// Every option of every command, given what it cannot take: none is ignored, and the exit code
// follows from what stands for its value in the help.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "results/store.h"
#include "results/test_files.h"
#include "scenarios/runner/commands.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

// No name, no number, no file, and no place for one.
const std::string kNothing = "/dev/null/x";

const std::string kExperiment = R"(name = "tiny"
baseline = "data_parallel"
[[instances]]
models = ["lenet"]
clusters = ["p100_4x4"]
devices = [1]
[[methods]]
recipe = "data_parallel"
)";

const std::string kInstance = R"({"layers": 1, "strategies": 1, "stages": 1, "microbatches": 1,
"edges": [], "compute": [[1]], "memory": [[1]], "memory_limit": 1, "reshard": [],
"reshard_cross": []})";

class CommandLine : public testing::Test {
 protected:
  CommandLine() {
    results::write_bytes(folder_.file("e.toml"), kExperiment);
    results::write_bytes(folder_.file("i.json"), kInstance);
    EXPECT_TRUE(results::Store::open(folder_.file("x.db")));
    EXPECT_EQ(code_of(words("simulate --model lenet --cluster env_a --devices 1 --out @p.json")),
              ExitCode::kOk);
  }

  // Lines that do something, as words apart: between them they give every option of their command a
  // meaning. Words that begin with '@' are files of the folder.
  std::vector<std::string> lines(const std::string& command) const {
    const std::string small = command + " --model lenet --cluster p100_4x4 --devices 1";
    const std::string layers = command + " --model gpt2_small --cluster dgx_a100 --devices 1";
    if (command == "calibrate") return {"calibrate --backend cuda --models lenet", "calibrate"};
    if (command == "certify") return {"certify @i.json @i.json"};
    if (command == "check")
      return {"check model gpt2_small", "check cluster env_a", "check plan @p.json"};
    if (command == "collective") {
      return {"collective --op all_reduce --bytes 1MiB --cluster p100_4x4 --group-size 4"};
    }
    if (command == "execute") {
      return {small + " --backend paced --time-scale 1 --repeat 1 --random-plans 1 --db @x.db",
              small + " --backend cuda", "execute --backend paced --ring 2 --repeat 1"};
    }
    if (command == "export") return {"export runs --db @x.db", "export plan --run 0 --db @x.db"};
    if (command == "import") return {"import topo @e.toml --gpu T4"};
    if (command == "list") return {"list models"};
    if (command == "race") return {"race @e.toml"};
    if (command == "screen") return {layers + " --best 1"};
    if (command == "search") {
      return {small + " --method random --budget 1 --network fair",
              layers + " --method miqp --global-batch 1 --oracle 0",
              layers + " --method miqp --global-batch 1"};
    }
    if (command == "simulate") {
      return {small + " --network fair", layers + " --recipe megatron --zero 1"};
    }
    if (command == "solve") return {"solve @i.json"};
    if (command == "validate") return {"validate --runs suite --split calibrate"};
    return {};
  }

  std::vector<std::string> words(const std::string& line) const {
    std::vector<std::string> words(1);
    for (const char c : line) {
      if (c == ' ') {
        words.emplace_back();
      } else if (c == '@') {
        words.back() = folder_.file("");
      } else {
        words.back() += c;
      }
    }
    return words;
  }

  // The line with the option added, or its value replaced.
  std::vector<std::string> with(const std::string& line, std::string_view option) const {
    std::vector<std::string> all = words(line);
    const std::string name = str_cat("--", option);
    const auto given = std::find(all.begin(), all.end(), name);
    if (given == all.end()) {
      all.insert(all.end(), {name, kNothing});
    } else {
      *std::next(given) = kNothing;
    }
    return all;
  }

  static ExitCode code_of(const std::vector<std::string>& words) {
    Console quiet;
    quiet.messages = -1;
    const Result<CommandResult> result = run_program(words, quiet);
    if (result) return result->exit_code;
    EXPECT_FALSE(result.error().message.empty());
    return exit_code(result.error().code);
  }

  // What is wrong with a name of something that lies in a file, or with the file, is not wrong with
  // the command line.
  static bool is_input(const Option& option) {
    const std::string_view value = option.value;
    return value.ends_with("FILE") || value == "DIR" || value == "ID" || value == "LIST" ||
           option.name == "gpu";
  }

  results::ScratchDirectory folder_;
};

TEST_F(CommandLine, NoOptionIsIgnoredAndEveryWordThatItDoesNotTakeIsWrongUsage) {
  for (const CommandRow& command : command_table()) {
    const std::vector<std::string> all = lines(std::string(command.name));
    ASSERT_FALSE(all.empty()) << command.name;
    for (const Option& option : command.syntax.options) {
      if (option.value.empty()) continue;
      std::vector<ExitCode> codes;
      for (const std::string& line : all) {
        codes.push_back(code_of(with(line, option.name)));
        EXPECT_THAT(codes.back(), testing::AnyOf(ExitCode::kUsage, ExitCode::kBadInput,
                                                 ExitCode::kDatabase, ExitCode::kTryAgain))
            << join(with(line, option.name), " ");
      }
      // Where it does not apply, giving it is wrong usage, whatever its value.
      const bool is_usage = std::ranges::count(codes, ExitCode::kUsage) == std::ssize(codes);
      EXPECT_EQ(is_usage, !is_input(option)) << command.name << " --" << option.name;
    }
  }
}

TEST_F(CommandLine, AnEmptyValueIsNone) {
  for (const CommandRow& command : command_table()) {
    for (const Option& option : command.syntax.options) {
      if (option.value.empty()) continue;
      std::vector<std::string> all = words(lines(std::string(command.name)).front());
      all.push_back(str_cat("--", option.name, "="));
      EXPECT_EQ(code_of(all), ExitCode::kUsage) << command.name << " --" << option.name;
    }
  }
}

TEST_F(CommandLine, FirstWordsAreOfTheProgramOrOfFiles) {
  for (const std::string line :
       {"list x", "check x y", "import x y --gpu T4", "export x", "help x"}) {
    EXPECT_EQ(code_of(words(line)), ExitCode::kUsage) << line;
  }
  for (const std::string line :
       {"race x", "solve x", "certify x y", "check model x", "check plan x", "check experiment x",
        "check galvatron x", "import topo x --gpu T4"}) {
    EXPECT_EQ(code_of(words(line)), ExitCode::kBadInput) << line;
  }
}

}  // namespace
}  // namespace soapbox::runner
