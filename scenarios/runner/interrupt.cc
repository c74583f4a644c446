#include "scenarios/runner/interrupt.h"

#include <atomic>

namespace soapbox::runner {
namespace {

// The one piece of global state: a handler reaches nothing else. To hold the signals back and ask
// for them later would need no handler, but misses threads that libraries start while they are
// loaded (OpenBLAS does): the system gives the signal to one of those, which dies of it.
std::atomic<bool> signalled = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void note_signal(int) {
  signalled.store(true, std::memory_order_relaxed);
}

}  // namespace

Interrupt::Interrupt() {
  signalled.store(false, std::memory_order_relaxed);
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action = {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESETHAND | SA_RESTART;  // the second one kills
    sigaction(signal, &action, nullptr);
  }
}

bool Interrupt::requested() const {
  return signalled.load(std::memory_order_relaxed);
}

}  // namespace soapbox::runner
