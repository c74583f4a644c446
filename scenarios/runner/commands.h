// The commands of the program: one row each. Adding one: cmd_x.cc, its declaration below, its row
// in commands.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/runner/options.h"
#include "sim/base/result.h"

namespace soapbox::runner {

inline constexpr std::string_view kVersion = "0.1.0";

// What the program's exit status means. Scripts rely on these numbers.
enum class ExitCode : int {
  kOk = 0,
  kSomeRunsFailed = 1,
  kUsage = 2,
  kInfeasible = 3,
  kBadInput = 4,
  kDatabase = 5,
  kRegression = 6,
  kInternal = 70,
  kTryAgain = 75,  // also a full disk or a file that cannot be written
  kInterrupted = 130,
};
ExitCode exit_code(ErrorCode code);

// Where a command's messages go.
struct Console {
  int messages = 2;  // file descriptor
  bool is_terminal = false;
  std::string command_line;  // for the record of a run
  // One line of news for the user. Never part of the result.
  void say(std::string_view line) const;
};

struct CommandResult {
  std::string output;  // the only thing on stdout, written when the command has ended
  ExitCode exit_code = ExitCode::kOk;
};

struct CommandRow {
  std::string_view name;
  std::string_view summary;
  Syntax syntax;
  Result<CommandResult> (*run)(const Arguments& arguments, const Console& console);
};

CommandRow calibrate_command();
CommandRow certify_command();
CommandRow check_command();
CommandRow collective_command();
CommandRow execute_command();
CommandRow export_command();
CommandRow import_command();
CommandRow list_command();
CommandRow race_command();
CommandRow screen_command();
CommandRow search_command();
CommandRow simulate_command();
CommandRow solve_command();
CommandRow validate_command();

std::vector<CommandRow> command_table();  // sorted by name

// The whole program but for printing its result: `words` are the arguments after the program's
// name.
Result<CommandResult> run_program(std::span<const std::string> words, const Console& console);

}  // namespace soapbox::runner
