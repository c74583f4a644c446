#include "sim/engine/event_queue.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <queue>
#include <tuple>
#include <vector>

#include "sim/base/rng.h"

namespace soapbox {
namespace {

using Entry = std::tuple<int64_t, uint32_t>;
using Oracle = std::priority_queue<Entry, std::vector<Entry>, std::greater<>>;

Entry entry(const Event& event) {
  return {event.time.picoseconds(), event.id};
}

// Random pushes and pops with about `pending` events; times advance by less than `span_ps`, so that
// a small span makes many ties.
void compare_with_oracle(uint64_t seed, uint32_t pending, uint32_t span_ps, uint64_t ids,
                         EventQueue& queue) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << " pending " << pending << " span "
                                  << span_ps);
  Rng rng(seed);
  Oracle oracle;
  queue.clear(ids);
  int64_t now = 0;
  uint32_t next_id = 0;
  for (int step = 0; step < 4000; ++step) {
    const bool push = oracle.empty() || rng.below(2 * pending) >= oracle.size();
    if (push) {
      const int64_t time = now + rng.below(span_ps);
      queue.push(SimTime(time), next_id);
      oracle.emplace(time, next_id++);
    } else {
      const Entry popped = entry(queue.pop());
      ASSERT_EQ(popped, oracle.top());
      oracle.pop();
      now = std::get<0>(popped);
    }
    ASSERT_EQ(queue.empty(), oracle.empty());
  }
  while (!oracle.empty()) {
    ASSERT_EQ(entry(queue.pop()), oracle.top());
    oracle.pop();
  }
  ASSERT_TRUE(queue.empty());
}

TEST(EventQueue, PopsInTheOrderOfTimeThenId) {
  EventQueue queue;
  uint64_t seed = 1;
  for (const uint32_t pending : {1u, 20u, 300u, 2000u}) {
    for (const uint32_t span_ps : {1u, 3u, 1000u, 4'000'000'000u}) {
      compare_with_oracle(seed++, pending, span_ps, 4000, queue);
      compare_with_oracle(seed++, pending, span_ps, uint64_t{1} << 32, queue);
    }
  }
}

TEST(EventQueue, OrdersAHundredThousandTiesById) {
  EventQueue queue;
  constexpr uint32_t kEvents = 100'000;
  for (uint32_t i = 0; i < kEvents; ++i) queue.push(SimTime(5), i * 7919 % kEvents);
  for (uint32_t i = 0; i < kEvents; ++i) ASSERT_EQ(queue.pop().id, i);
  EXPECT_TRUE(queue.empty());
}

// Events that come while many of one moment are sorted already: the front overflows into buckets.
TEST(EventQueue, TakesManyEventsBetweenTwoPops) {
  EventQueue queue;
  queue.clear(1'000'000);
  queue.push(SimTime(0), 0);
  queue.push(SimTime(1'000'000), 1);
  EXPECT_EQ(queue.pop().id, 0u);
  for (uint32_t i = 0; i < 5000; ++i) queue.push(SimTime(500 + i % 7), 2 + i * 1237 % 5000);
  Entry last{-1, 0};
  for (uint32_t i = 0; i < 5001; ++i) {
    const Entry next = entry(queue.pop());
    ASSERT_LT(last, next);
    last = next;
  }
  EXPECT_EQ(last, Entry(1'000'000, 1));
  EXPECT_TRUE(queue.empty());
}

TEST(EventQueue, HoldsTheLargestTimeAndId) {
  EventQueue queue;
  const SimTime last(std::numeric_limits<int64_t>::max());
  queue.push(last, std::numeric_limits<uint32_t>::max());
  queue.push(last, 0);
  queue.push(SimTime(), 3);
  EXPECT_EQ(queue.pop().time, SimTime());
  EXPECT_EQ(queue.pop().id, 0u);
  const Event event = queue.pop();
  EXPECT_EQ(event.time, last);
  EXPECT_EQ(event.id, std::numeric_limits<uint32_t>::max());
}

}  // namespace
}  // namespace soapbox
