// A monotone priority queue of events: the engine's inner loop.
//
// Events are ordered by (time, id), one number of 95 bits: 63 of time, 32 of id. A simulation never
// asks for an event before the last one popped, which a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan:
// "Faster algorithms for the shortest path problem", J. ACM 37(2), 1990) turns into sequential
// memory traffic. Keys are 19 digits of 5 bits. With `floor` a lower bound of every key in the
// queue, an event lies in the bucket (level, digit) where level is the highest digit in which its
// key differs from `floor`, and digit is its key's digit there. All keys of a bucket are smaller
// than those of the next bucket of the same level and than those of every higher level, so the
// smallest key is in the first bucket in use.
//   pop   while the first bucket holds more than one chunk of events, `floor` becomes its smallest
//   key
//         and its events move to lower levels; then the smallest of at most 15 events is found by
//         looking at them all.
//   push  O(1).
// An event moves down at most 19 times; with events spread evenly, log32(pending / 15) times.
//
// A 4-ary heap of 16-byte entries needs at 1e5 pending events 8 levels of dependent cache misses:
// 85 to 110 ns for a pop and a push on the 2-core machine where this was written; this queue needs
// 45 to 50, and is not slower when few events are pending.
//
// Memory: buckets are lists of chunks of 256 bytes (15 events of 16 bytes) taken from one pool.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/units.h"

namespace soapbox {

struct Event {
  SimTime time;
  uint32_t id = 0;
};
static_assert(sizeof(Event) == 16);

class EventQueue {
 public:
  EventQueue() { clear(); }

  // Empties the queue and starts time again. Keeps the memory.
  void clear();
  // After this, pushes allocate nothing while at most `events` are pending.
  void reserve(size_t events) { pool_.reserve(events / kChunkEvents + kLevels * kDigits + 1); }
  bool empty() const { return levels_in_use_ == 0; }
  // REQUIRES: time >= 0, and the event is not smaller than the last one popped.
  void push(SimTime time, uint32_t id);
  // The smallest event. Calls soon(id) for events that are about to come, so that the caller can
  // prefetch what it will need of them; a hint only: an id can come several times or never.
  // REQUIRES: not empty.
  template <class Soon>
  Event pop(Soon&& soon);
  Event pop() {
    return pop([](uint32_t) {});
  }

 private:
  __extension__ using Key = unsigned __int128;
  static constexpr int kDigitBits = 5;
  static constexpr int kDigits = 1 << kDigitBits;
  static constexpr int kLevels = 19;
  static_assert(kDigitBits * kLevels == 63 + 32);
  static constexpr uint32_t kChunkEvents = 15;
  static constexpr uint32_t kSoonChunks = 40;
  static constexpr uint32_t kNone = UINT32_MAX;

  struct alignas(64) Chunk {
    std::array<Event, kChunkEvents> events;
    uint32_t count;
    uint32_t next;  // chunk of the same bucket, or of the free list
  };
  static_assert(sizeof(Chunk) == 256);

  struct Bucket {
    int level;
    int digit;
  };

  static Key key(const Event& event) {
    return static_cast<Key>(static_cast<uint64_t>(event.time.picoseconds())) << 32 | event.id;
  }
  Bucket bucket_of(Key key) const {
    const Key difference = key ^ floor_;
    const auto high = static_cast<uint64_t>(difference >> 64);
    const auto low = static_cast<uint64_t>(difference) | 1;  // equal keys go to level 0
    const int bit = high != 0 ? 127 - std::countl_zero(high) : 63 - std::countl_zero(low);
    const int level = bit / kDigitBits;
    return {level, static_cast<int>(key >> (level * kDigitBits)) & (kDigits - 1)};
  }
  Bucket first_bucket() const {
    const int level = std::countr_zero(levels_in_use_);
    return {level, std::countr_zero(digits_in_use_[static_cast<size_t>(level)])};
  }
  uint32_t& head(Bucket bucket) {
    return heads_[static_cast<size_t>(bucket.level * kDigits + bucket.digit)];
  }
  void insert(const Event& event);
  void add_chunk(Bucket bucket);
  void free_chunk(uint32_t chunk) {
    pool_[chunk].next = free_;
    free_ = chunk;
  }
  void detach(Bucket bucket);
  struct Summary {
    Key smallest;
    uint32_t chunks;
  };
  Summary summarise(uint32_t chunk) const;
  template <class Soon>
  void spread(Bucket bucket, Soon&& soon);

  Key floor_ = 0;
  uint32_t levels_in_use_ = 0;                       // bit per level
  std::array<uint32_t, kLevels> digits_in_use_{};    // bit per digit
  std::array<uint32_t, kLevels * kDigits> heads_{};  // first chunk; only it is not full
  uint32_t free_ = kNone;
  std::vector<Chunk> pool_;
};

inline void EventQueue::insert(const Event& event) {
  const Bucket bucket = bucket_of(key(event));
  uint32_t& chunk = head(bucket);
  if (chunk == kNone || pool_[chunk].count == kChunkEvents) [[unlikely]] {
    add_chunk(bucket);
  }
  Chunk& target = pool_[chunk];
  target.events[target.count++] = event;
}

inline void EventQueue::push(SimTime time, uint32_t id) {
  const Event event{time, id};
  SOAPBOX_DCHECK(time >= SimTime() && key(event) >= floor_, "an event before the last one popped");
  insert(event);
}

// Moves the events of a bucket to lower levels.
template <class Soon>
void EventQueue::spread(Bucket bucket, Soon&& soon) {
  SOAPBOX_DCHECK(bucket.level > 0, "two events with one key");
  uint32_t chunk = head(bucket);
  detach(bucket);
  const Summary summary = summarise(chunk);
  floor_ = summary.smallest;
  // What a caller fetches for more events than this is out of the cache again when they come.
  const bool is_soon = summary.chunks <= kSoonChunks;
  while (chunk != kNone) {
    for (uint32_t i = 0; i < pool_[chunk].count; ++i) {
      const Event event = pool_[chunk].events[i];  // a copy: the pool may move when it grows
      if (is_soon) soon(event.id);
      insert(event);
    }
    const uint32_t next = pool_[chunk].next;
    free_chunk(chunk);
    chunk = next;
  }
}

template <class Soon>
Event EventQueue::pop(Soon&& soon) {
  SOAPBOX_DCHECK(!empty(), "no event is pending");
  Bucket bucket = first_bucket();
  while (pool_[head(bucket)].next != kNone) {
    spread(bucket, soon);
    bucket = first_bucket();
  }
  const uint32_t index = head(bucket);
  Chunk& chunk = pool_[index];
  uint32_t smallest = 0;
  Key smallest_key = key(chunk.events[0]);
  for (uint32_t i = 1; i < chunk.count; ++i) {
    const Key candidate = key(chunk.events[i]);
    const bool smaller = candidate < smallest_key;
    smallest = smaller ? i : smallest;
    smallest_key = smaller ? candidate : smallest_key;
  }
  const Event result = chunk.events[smallest];
  chunk.events[smallest] = chunk.events[--chunk.count];
  if (chunk.count == 0) {
    detach(bucket);
    free_chunk(index);
  }
  return result;
}

}  // namespace soapbox
