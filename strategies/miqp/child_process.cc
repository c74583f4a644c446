#include "strategies/miqp/child_process.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <mutex>

namespace soapbox::miqp {
namespace {

constexpr int kPatience_ms = 50;

[[noreturn]] void be_child(const std::function<std::string()>& work, int out, double cpu_limit_s) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Ctrl-C is for the parent, which decides.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_DFL);
  if (cpu_limit_s < 1e9) {
    const auto seconds = static_cast<rlim_t>(std::ceil(std::max(cpu_limit_s, 0.0)));
    const rlimit limit{seconds, seconds + 1};
    setrlimit(RLIMIT_CPU, &limit);
  }
  const std::string text = work();
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = write(out, text.data() + written, text.size() - written);
    if (count < 0 && errno != EINTR) break;
    written += static_cast<size_t>(std::max<ssize_t>(count, 0));
  }
  _exit(written == text.size() ? 0 : 1);
}

// Everything that comes until the other end is closed; nothing where `stop` said so before.
std::optional<std::string> read_all(int in, const std::function<bool()>& stop) {
  std::string text;
  std::array<char, 65536> part;
  for (;;) {
    pollfd ready{in, POLLIN, 0};
    const int found = poll(&ready, 1, kPatience_ms);
    if (stop && stop()) return std::nullopt;
    if (found <= 0) continue;
    const ssize_t count = read(in, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(part.data(), static_cast<size_t>(count));
  }
}

}  // namespace

ChildResult run_in_child(const std::function<std::string()>& work,
                         const std::function<bool()>& stop, double cpu_limit_s) {
  int ends[2];
  pid_t child = -1;
  {
    // One at a time: a child that another thread made meanwhile would hold our writing end open,
    // and we would wait for its end, too.
    static std::mutex making;
    const std::lock_guard<std::mutex> lock(making);
    if (pipe(ends) != 0) return {};
    child = fork();
    if (child == 0) {
      close(ends[0]);
      be_child(work, ends[1], cpu_limit_s);
    }
    close(ends[1]);
  }
  ChildResult result;
  if (child > 0) {
    result.output = read_all(ends[0], stop);
    if (!result.output) kill(child, SIGKILL);
    int status = 0;
    rusage usage{};
    while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) result.output.reset();
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    result.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  close(ends[0]);
  return result;
}

}  // namespace soapbox::miqp
