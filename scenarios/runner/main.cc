// The program: the only place that prints errors and chooses the exit status.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <string>
#include <vector>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/output_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

// A failed check aborts after it has said where: give scripts the documented status for it.
extern "C" void end_after_abort(int) {
  _exit(static_cast<int>(ExitCode::kInternal));
}

// A stream that the caller has closed: no file that is opened later may take its place, and get
// messages or results between its own bytes. What is written to it fails.
void occupy_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) < 0) (void)open("/dev/null", O_RDONLY);  // takes the lowest free one
  }
}

void prepare_signals() {
  std::signal(SIGABRT, end_after_abort);
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit becomes a write error with a message
}

int fail(const Console& console, const Error& error) {
  std::string text = error.to_string();
  std::replace(text.begin(), text.end(), '\n', ' ');
  console.say(error.where.file.empty() ? str_cat("soapbox: ", text) : text);
  return static_cast<int>(exit_code(error.code));
}

int run(const std::vector<std::string>& words, const Console& console) {
  const Result<CommandResult> result = run_program(words, console);
  if (!result) return fail(console, result.error());
  const Status written = write_descriptor(STDOUT_FILENO, result->output, "stdout");
  if (!written) return fail(console, written.error());
  if (::close(STDOUT_FILENO) != 0 && !result->output.empty()) {
    return fail(console, {ErrorCode::kEnvironment, "cannot write 'stdout'", {}});
  }
  return static_cast<int>(result->exit_code);
}

}  // namespace
}  // namespace soapbox::runner

int main(int argc, char** argv) {
  namespace runner = soapbox::runner;
  runner::occupy_closed_streams();
  runner::prepare_signals();
  const std::vector<std::string> words(argv + 1, argv + argc);
  runner::Console console;
  console.is_terminal = isatty(STDERR_FILENO) == 1;
  console.command_line = soapbox::join(std::vector<std::string>(argv, argv + argc), " ");
  try {
    return runner::run(words, console);
  } catch (const std::exception& error) {
    console.say(soapbox::str_cat("soapbox: internal error: ", error.what()));
    return static_cast<int>(runner::ExitCode::kInternal);
  }
}
