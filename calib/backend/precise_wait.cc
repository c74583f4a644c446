#include "calib/backend/precise_wait.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <ctime>

namespace soapbox::calib {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kSpin = 40'000;       // ns before the deadline
constexpr int64_t kLook = 100'000'000;  // ns between two looks at `stop`

void sleep_until(int64_t moment_ns) {
  const timespec moment = {static_cast<time_t>(moment_ns / kSecond),
                           static_cast<long>(moment_ns % kSecond)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nullptr);
}

}  // namespace

int64_t steady_now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * kSecond + now.tv_nsec;
}

void use_precise_timers() {
  prctl(PR_SET_TIMERSLACK, 1UL);
}

bool ask_for_realtime() {
  sched_param lowest = {};
  lowest.sched_priority = sched_get_priority_min(SCHED_FIFO);
  return pthread_setschedparam(pthread_self(), SCHED_FIFO, &lowest) == 0;
}

void wait_until(int64_t deadline_ns, const std::atomic<bool>& stop) {
  int64_t now = steady_now_ns();
  while (now < deadline_ns - kSpin && !stop.load(std::memory_order_relaxed)) {
    sleep_until(std::min(deadline_ns - kSpin, now + kLook));
    now = steady_now_ns();
  }
  while (now < deadline_ns && !stop.load(std::memory_order_relaxed)) now = steady_now_ns();
}

}  // namespace soapbox::calib
