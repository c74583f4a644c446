// CPU time of the calling thread since the watch was made, and a limit on it.
#pragma once

#include <ctime>

namespace soapbox::miqp {

class Stopwatch {
 public:
  explicit Stopwatch(double limit_s) : limit_s_(limit_s), start_s_(now_s()) {}
  double elapsed_s() const { return now_s() - start_s_; }
  bool expired() const { return elapsed_s() > limit_s_; }

 private:
  static double now_s() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  double limit_s_;
  double start_s_;
};

}  // namespace soapbox::miqp
