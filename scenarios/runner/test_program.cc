#include "scenarios/runner/test_program.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

// In the child, which has nothing to return to.
void redirect(const std::string& path, int descriptor) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
}

// Whether a process has a handler of its own for a signal, as Linux tells.
bool catches(pid_t process, int signal) {
  std::ifstream status(str_cat("/proc/", process, "/status"));
  for (std::string name, value; status >> name; std::getline(status, value)) {
    if (name != "SigCgt:") continue;
    status >> value;
    return (std::stoull(value, nullptr, 16) >> (signal - 1) & 1) != 0;
  }
  return false;
}

}  // namespace

std::string ProgramFolder::file(const std::string& name, const std::string& text) const {
  results::write_bytes(path(name), text);
  return path(name);
}

pid_t ProgramFolder::start(const std::vector<std::string>& words, const std::string& output,
                           std::optional<size_t> file_limit) const {
  std::vector<std::string> copies = {SOAPBOX_BINARY_DIR "/soapbox"};
  copies.insert(copies.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : copies) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  SOAPBOX_CHECK(child >= 0, "cannot fork");
  if (child > 0) return child;
  redirect(output, STDOUT_FILENO);
  redirect(streams_.file("messages"), STDERR_FILENO);
  if (chdir(folder_.path().c_str()) != 0) _exit(126);
  std::signal(SIGINT, SIG_DFL);  // a test runner in the background has it ignored
  if (file_limit) {
    const rlimit limit = {*file_limit, *file_limit};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  execv(argv[0], argv.data());
  _exit(127);
}

Ran ProgramFolder::finish(pid_t child) const {
  int status = 0;
  SOAPBOX_CHECK(waitpid(child, &status, 0) == child, "cannot wait for the program");
  Ran ran;
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ran.output = results::read_bytes(streams_.file("output"));
  ran.messages = results::read_bytes(streams_.file("messages"));
  return ran;
}

Ran ProgramFolder::run(const std::vector<std::string>& words) const {
  return finish(start(words, streams_.file("output"), std::nullopt));
}

Ran ProgramFolder::run_with_file_limit(const std::vector<std::string>& words, size_t bytes) const {
  return finish(start(words, streams_.file("output"), bytes));
}

Ran ProgramFolder::run_into(const std::vector<std::string>& words, const std::string& file) const {
  return finish(start(words, file, std::nullopt));
}

Ran ProgramFolder::interrupt_when(pid_t child, const std::function<bool()>& ready) const {
  while (!ready()) {
    siginfo_t ended = {};
    waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == child) break;  // before it was ready
    usleep(5'000);
  }
  kill(child, SIGINT);
  return finish(child);
}

Ran ProgramFolder::run_and_interrupt(const std::vector<std::string>& words) const {
  const pid_t child = start(words, streams_.file("output"), std::nullopt);
  return interrupt_when(child, [child] {
    if (!catches(child, SIGINT)) return false;
    usleep(300'000);
    return true;
  });
}

Ran ProgramFolder::run_and_interrupt(const std::vector<std::string>& words,
                                     const std::string& marker) const {
  const pid_t child = start(words, streams_.file("output"), std::nullopt);
  const std::string messages = streams_.file("messages");
  return interrupt_when(
      child, [&] { return results::read_bytes(messages).find(marker) != std::string::npos; });
}

std::vector<std::string> ProgramFolder::names() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace soapbox::runner
