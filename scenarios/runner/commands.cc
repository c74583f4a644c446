#include "scenarios/runner/commands.h"

#include <algorithm>

#include "scenarios/runner/output_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr std::string_view kExitCodes =
    R"(Exit codes: 0 done, 1 some runs failed, 2 wrong usage, 3 infeasible plan, 4 bad input,
5 database, 6 regression found, 70 internal error, 75 try again (locked, disk full, cannot write),
130 interrupted.)";

std::string overview() {
  std::string text =
      "soapbox: how long does one training iteration of this DNN take on that cluster under this\n"
      "parallelization strategy, and which strategy is best?\n\nCommands:\n";
  const std::vector<CommandRow> table = command_table();
  size_t width = 0;
  for (const CommandRow& row : table) width = std::max(width, row.name.size());
  for (const CommandRow& row : table) {
    std::string name(row.name);
    name.resize(width, ' ');
    text += str_cat("  ", name, "  ", row.summary, "\n");
  }
  text +=
      "\n'soapbox COMMAND --help' explains one command; 'soapbox --version' prints the version.\n";
  text += "Results go to stdout, progress and messages to stderr.\n\n";
  return str_cat(text, kExitCodes, "\n");
}

Result<const CommandRow*> find_command(std::span<const CommandRow> table, const std::string& name) {
  std::vector<std::string> known;
  for (const CommandRow& row : table) {
    if (row.name == name) return &row;
    known.emplace_back(row.name);
  }
  const std::string_view kind = name.starts_with("-") ? "option" : "command";
  if (kind == "option") known = {"--help", "--version"};
  return usage_error(unknown_name(kind, name, known));
}

Result<CommandResult> help(std::span<const CommandRow> table, std::span<const std::string> words) {
  if (words.empty()) return CommandResult{overview()};
  if (words.size() > 1) return usage_error(str_cat("help: unexpected argument '", words[1], "'"));
  const Result<const CommandRow*> row = find_command(table, words[0]);
  if (!row) return row.error();
  return CommandResult{help_text((*row)->syntax, (*row)->summary)};
}

}  // namespace

ExitCode exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return ExitCode::kUsage;
    case ErrorCode::kBadInput:
      return ExitCode::kBadInput;
    case ErrorCode::kInfeasible:
      return ExitCode::kInfeasible;
    case ErrorCode::kDatabase:
      return ExitCode::kDatabase;
    case ErrorCode::kUnavailable:
    case ErrorCode::kEnvironment:
      return ExitCode::kTryAgain;
    case ErrorCode::kInterrupted:
      return ExitCode::kInterrupted;
  }
  return ExitCode::kInternal;
}

void Console::say(std::string_view line) const {
  // A message that cannot be shown is not worth failing for: the result is elsewhere.
  (void)write_descriptor(messages, str_cat(line, "\n"), "stderr");
}

std::vector<CommandRow> command_table() {
  return {calibrate_command(), certify_command(), check_command(),  collective_command(),
          execute_command(),   export_command(),  import_command(), list_command(),
          race_command(),      screen_command(),  search_command(), simulate_command(),
          solve_command(),     validate_command()};
}

Result<CommandResult> run_program(std::span<const std::string> words, const Console& console) {
  const std::vector<CommandRow> table = command_table();
  if (words.empty()) return usage_error("no command given; 'soapbox --help' lists them");
  const std::string& name = words[0];
  const std::span<const std::string> rest = words.subspan(1);
  if (name == "--help" || name == "-h" || name == "help") return help(table, rest);
  if (name == "--version" && rest.empty())
    return CommandResult{str_cat("soapbox ", kVersion, "\n")};
  const Result<const CommandRow*> row = find_command(table, name);
  if (!row) return row.error();
  const Result<Arguments> arguments = Arguments::parse((*row)->syntax, rest);
  if (!arguments) return arguments.error();
  if (arguments->has("help")) return CommandResult{help_text((*row)->syntax, (*row)->summary)};
  return (*row)->run(*arguments, console);
}

}  // namespace soapbox::runner
