// Progress on stderr: one bar that redraws itself on a terminal, a line per finished piece of work
// elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "scenarios/runner/commands.h"

namespace soapbox::runner {

class Progress {
 public:
  Progress(const Console& console, size_t total) : console_(console), total_(total) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  // One more piece is done. `what` names it: "alexnet p100_4x4 mcmc: 1570 samples/s".
  void finished(const std::string& what);
  // `done` pieces are done, with news: not more than ten redrawn bars a second, or a line every
  // two.
  void at(size_t done, const std::string& news);
  // What happens now; only the bar shows it, and not more than ten times a second.
  void working_on(const std::string& what);

  void clear();  // takes the bar away

 private:
  void draw(const std::string& what);

  const Console& console_;
  size_t total_;
  size_t done_ = 0;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_draw_ = std::chrono::steady_clock::now();
};

}  // namespace soapbox::runner
