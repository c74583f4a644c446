#include "scenarios/runner/interrupt.h"

#include <ctime>

namespace soapbox::runner {

Interrupt::Interrupt() {
  sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action = {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&signals_, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

bool Interrupt::requested() const {
  if (requested_.load(std::memory_order_relaxed)) return true;
  const timespec at_once = {};
  // Takes the signal away, so exactly one caller sees it; the flag tells the others.
  if (sigtimedwait(&signals_, nullptr, &at_once) < 0) return false;
  requested_.store(true, std::memory_order_relaxed);
  pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  return true;
}

}  // namespace soapbox::runner
