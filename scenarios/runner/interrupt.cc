#include "scenarios/runner/interrupt.h"

#include <time.h>

#include <atomic>
#include <cstdint>

namespace soapbox::runner {
namespace {

// The one piece of global state: a handler reaches nothing else. To hold the signals back and ask
// for them later would need no handler, but misses threads that libraries start while they are
// loaded (OpenBLAS does): the system gives the signal to one of those, which dies of it.
std::atomic<int64_t> first_signal_ns = 0;  // 0: none came
static_assert(std::atomic<int64_t>::is_always_lock_free);

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// A request can come twice at once: `timeout` signals a process and then its group.
constexpr int64_t kSameRequestNs = 200'000'000;

void note_signal(int signal) {
  const int64_t now = now_ns();
  int64_t first = 0;
  if (first_signal_ns.compare_exchange_strong(first, now)) return;
  if (now - first < kSameRequestNs) return;
  std::signal(signal, SIG_DFL);
  raise(signal);
}

}  // namespace

Interrupt::Interrupt() {
  first_signal_ns.store(0);
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action = {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
  }
}

bool Interrupt::requested() const {
  return first_signal_ns.load(std::memory_order_relaxed) != 0;
}

}  // namespace soapbox::runner
