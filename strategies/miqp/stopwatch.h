// CPU time of the calling thread since the watch was made, and when to stop:
// past a limit, or when asked to.
#pragma once

#include <ctime>
#include <functional>
#include <utility>

namespace soapbox::miqp {

class Stopwatch {
 public:
  explicit Stopwatch(double limit_s, std::function<bool()> stop = {})
      : limit_s_(limit_s), start_s_(now_s()), stop_(std::move(stop)) {}
  double left_s() const { return limit_s_ - elapsed_s(); }
  // The same watch, which expires after a part of what is left.
  Stopwatch part(double fraction) const {
    Stopwatch watch = *this;
    watch.limit_s_ = elapsed_s() + fraction * left_s();
    return watch;
  }
  double elapsed_s() const { return now_s() - start_s_; }
  // What `make` makes; its time is added to `sum_s`.
  template <class Make>
  auto timed(double& sum_s, Make make) const {
    const double start_s = elapsed_s();
    auto made = make();
    sum_s += elapsed_s() - start_s;
    return made;
  }
  bool expired() const { return elapsed_s() > limit_s_ || (stop_ && stop_()); }

 private:
  static double now_s() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  double limit_s_;
  double start_s_;
  std::function<bool()> stop_;
};

}  // namespace soapbox::miqp
