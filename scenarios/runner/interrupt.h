// Ctrl-C as a question instead of a handler: no global state, nothing runs inside a signal.
#pragma once

#include <atomic>
#include <csignal>

namespace soapbox::runner {

// While one exists, SIGINT and SIGTERM are held back, and requested() says whether one has come.
// The first one asks for a clean end; after it the usual action is restored, so that a second one
// kills. A signal that the parent process chose to ignore stays ignored. REQUIRES: made before any
// thread is started (threads inherit what is held back).
class Interrupt {
 public:
  Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  bool requested() const;  // from any thread; one system call

 private:
  sigset_t signals_;
  mutable std::atomic<bool> requested_ = false;
};

}  // namespace soapbox::runner
