#include "scenarios/runner/progress.h"

#include <algorithm>

#include "scenarios/runner/output_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr size_t kBarWidth = 24;
constexpr size_t kTextWidth = 50;  // keeps the line below 80 columns, so that it never wraps

}  // namespace

void Progress::finished(const std::string& what) {
  ++done_;
  if (console_.is_terminal) {
    draw(what);
  } else {
    console_.say(str_cat("[", done_, "/", total_, "] ", what));
  }
}

void Progress::at(size_t done, const std::string& news) {
  done_ = done;
  if (console_.is_terminal) return working_on(news);
  const auto now = std::chrono::steady_clock::now();
  if (now - last_draw_ < std::chrono::seconds(2)) return;
  last_draw_ = now;
  console_.say(str_cat("[", done_, "/", total_, "] ", news));
}

void Progress::working_on(const std::string& what) {
  if (!console_.is_terminal) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_draw_ < std::chrono::milliseconds(100)) return;
  draw(what);
}

void Progress::draw(const std::string& what) {
  const size_t filled = total_ == 0 ? kBarWidth : kBarWidth * std::min(done_, total_) / total_;
  const std::string line =
      str_cat("\r\033[K[", std::string(filled, '#'), std::string(kBarWidth - filled, '.'), "] ",
              done_, "/", total_, " ", what.substr(0, kTextWidth));
  (void)write_descriptor(console_.messages, line, "stderr");
  drawn_ = true;
  last_draw_ = std::chrono::steady_clock::now();
}

void Progress::clear() {
  if (drawn_) (void)write_descriptor(console_.messages, "\r\033[K", "stderr");
  drawn_ = false;
}

}  // namespace soapbox::runner
