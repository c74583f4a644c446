// Ctrl-C as a question: a handler notes the signal, and the work asks between two steps.
#pragma once

#include <csignal>

namespace soapbox::runner {

// Once one was made, SIGINT and SIGTERM are noted, and requested() says whether one has come since.
// The first asks for a clean end; one that comes 0.2 s later or more kills. A signal that the
// parent process chose to ignore stays ignored.
class Interrupt {
 public:
  Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  bool requested() const;  // from any thread
};

}  // namespace soapbox::runner
