#include "scenarios/runner/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

namespace soapbox::runner {
namespace {

TEST(Workers, ResultsAreTakenInOrderHoweverTheWorkEnds) {
  // Work i takes longer than work i + 1, so with four threads the ends come in the wrong order.
  constexpr size_t kCount = 24;
  std::vector<size_t> results(kCount, 0);
  std::vector<size_t> taken;
  const std::thread::id caller = std::this_thread::get_id();
  OrderedWork job{.count = kCount, .threads = 4};
  job.work = [&results](size_t i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kCount - i));
    results[i] = i * i;
  };
  job.finish = [&](size_t i) -> Status {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(results[i], i * i);
    taken.push_back(i);
    return ok();
  };
  job.wait = [] {};
  ASSERT_TRUE(run_in_order(job));
  std::vector<size_t> expected(kCount);
  std::iota(expected.begin(), expected.end(), size_t{0});
  EXPECT_EQ(taken, expected);
}

TEST(Workers, TheFirstErrorStopsNewWorkAndIsReturned) {
  std::atomic<size_t> begun = 0;
  size_t finished = 0;
  OrderedWork job{.count = 1000, .threads = 2};
  job.work = [&begun](size_t) {
    ++begun;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  job.finish = [&finished](size_t i) -> Status {
    ++finished;
    if (i == 2) return Error{ErrorCode::kDatabase, "full", {}};
    return ok();
  };
  job.wait = [] {};
  const Status status = run_in_order(job);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "full");
  EXPECT_EQ(finished, 3u);
  EXPECT_LT(begun, 1000u);
}

TEST(Workers, NoWorkIsFine) {
  OrderedWork job{.count = 0, .threads = 3};
  EXPECT_TRUE(run_in_order(job));
}

TEST(Workers, TheCallerIsCalledWhileItWaits) {
  size_t waits = 0;
  OrderedWork job{.count = 1, .threads = 1};
  job.work = [](size_t) { std::this_thread::sleep_for(std::chrono::milliseconds(700)); };
  job.finish = [](size_t) { return ok(); };
  job.wait = [&waits] { ++waits; };
  ASSERT_TRUE(run_in_order(job));
  EXPECT_GE(waits, 1u);
}

}  // namespace
}  // namespace soapbox::runner
