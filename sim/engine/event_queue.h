// A monotone priority queue of events: the engines' inner loop.
//
// Events are ordered by (time, id) and packed into one number of 63 bits: the time since a base,
// then the id in as many bits as the ids of the run need. A simulation never asks for an event
// before the last one popped, which a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan: "Faster
// algorithms for the shortest path problem", J. ACM 37(2), 1990) turns into sequential memory
// traffic. Keys are 11 digits of 6 bits. With `floor` a lower bound of every key, a key lies in the
// bucket (level, digit) where level is the highest digit in which it differs from `floor`, and
// digit is its digit there. All keys of a bucket are smaller than those of the next bucket of the
// same level and than those of every higher level, so the smallest keys are in the first bucket.
//   front  the first buckets are taken out and sorted once they hold few events; a pop takes the
//          next of them, a push of an event that belongs there inserts it.
//   pop    with the front used up: while the first bucket holds too many events, `floor` becomes
//          its smallest key and its events move to lower levels; then the front is filled.
//   push   O(1) otherwise.
// An event moves down at most 11 times; with events spread evenly, log64(pending / 24) times.
//
// An event too far from the base for 63 bits waits in a binary heap until the others are used up
// and the base moves: with a million ids, events more than nine seconds away.
//
// Memory: buckets are lists of chunks of 128 bytes (15 keys of 8 bytes) taken from one pool.
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

class EventQueue {
 public:
  EventQueue() { clear(); }

  // Empties the queue and starts time again, for ids below `ids`: the fewer, the longer the time
  // that a key can hold. Keeps the memory.
  void clear(uint64_t ids = kMostIds);
  // After this, pushes allocate nothing while at most `events` are pending.
  void reserve(size_t events) { pool_.reserve(events / kChunkKeys + kLevels * kDigits + 1); }
  bool empty() const { return front_begin_ == front_size_ && levels_in_use_ == 0 && far_.empty(); }
  // REQUIRES: time >= 0, and the event is not smaller than the last one popped.
  void push(SimTime time, uint32_t id);
  // The smallest event. REQUIRES: not empty.
  Event pop();
  // The id of the event that is popped after `later` others unless one before it is pushed; kNone
  // if it is not known yet. For prefetching what the event will need.
  uint32_t upcoming(uint32_t later) const {
    if (front_begin_ + later >= front_size_) return kNone;
    return static_cast<uint32_t>(front_[front_begin_ + later] & id_mask());
  }
  static constexpr uint32_t kNone = UINT32_MAX;

 private:
  static constexpr uint64_t kMostIds = uint64_t{1} << 32;
  static constexpr int kKeyBits = 63;
  static constexpr int kDigitBits = 6;
  static constexpr int kDigits = 1 << kDigitBits;
  static constexpr int kLevels = 11;
  static_assert(kDigitBits * kLevels >= kKeyBits);
  static constexpr uint32_t kChunkKeys = 15;
  static constexpr uint32_t kMostSorted = 24;  // a bucket with more events than this is spread
  static constexpr uint32_t kEnoughFront = 16;
  static constexpr uint32_t kMostFront = 128;

  struct alignas(64) Chunk {
    std::array<uint64_t, kChunkKeys> keys;
    uint32_t count;
    uint32_t next;  // chunk of the same bucket, or of the free list
  };
  static_assert(sizeof(Chunk) == 128);

  struct Bucket {
    int level;
    int digit;
  };
  struct FarEvent {
    int64_t time_ps;
    uint32_t id;
    friend auto operator<=>(const FarEvent&, const FarEvent&) = default;
  };

  uint64_t id_mask() const { return (uint64_t{1} << id_bits_) - 1; }
  Bucket bucket_of(uint64_t key) const {
    const int level = (63 - std::countl_zero((key ^ floor_) | 1)) / kDigitBits;
    return {level, static_cast<int>(key >> (level * kDigitBits)) & (kDigits - 1)};
  }
  Bucket first_bucket() const {
    const int level = std::countr_zero(levels_in_use_);
    return {level, std::countr_zero(digits_in_use_[static_cast<size_t>(level)])};
  }
  uint32_t& head(Bucket bucket) {
    return heads_[static_cast<size_t>(bucket.level * kDigits + bucket.digit)];
  }
  bool holds_few(uint32_t chunk) const {
    const uint32_t next = pool_[chunk].next;
    return next == kNone ||
           (pool_[next].next == kNone && pool_[chunk].count <= kMostSorted - kChunkKeys);
  }
  void insert(uint64_t key);
  void insert_in_front(uint64_t key);
  // Into the front, where all from `begin` on is sorted, and all before is smaller.
  void insert_sorted(uint64_t key, uint32_t begin) {
    uint32_t at = front_size_++;
    for (; at > begin && front_[at - 1] > key; --at) front_[at] = front_[at - 1];
    front_[at] = key;
  }
  void push_far(SimTime time, uint32_t id);
  void add_chunk(Bucket bucket);
  void free_chunk(uint32_t chunk) {
    pool_[chunk].next = free_;
    free_ = chunk;
  }
  void detach(Bucket bucket);
  void spread(Bucket bucket);
  void move_base();
  void fill_front();
  void compact_front();
  void take(Bucket bucket);

  int64_t base_ps_ = 0;
  int id_bits_ = 32;
  uint64_t floor_ = 0;
  uint64_t last_ = 0;       // the last key popped
  uint64_t front_end_ = 0;  // keys below belong to the front
  uint32_t front_begin_ = 0;
  uint32_t front_size_ = 0;
  uint32_t levels_in_use_ = 0;                       // bit per level
  std::array<uint64_t, kMostFront> front_{};         // ascending, from front_begin_ on
  std::array<uint64_t, kLevels> digits_in_use_{};    // bit per digit
  std::array<uint32_t, kLevels * kDigits> heads_{};  // first chunk; only it is not full
  uint32_t free_ = kNone;
  std::vector<Chunk> pool_;
  std::vector<FarEvent> far_;  // a heap, the earliest first
};

inline void EventQueue::insert(uint64_t key) {
  const Bucket bucket = bucket_of(key);
  uint32_t& chunk = head(bucket);
  if (chunk == kNone || pool_[chunk].count == kChunkKeys) [[unlikely]] {
    add_chunk(bucket);
  }
  Chunk& target = pool_[chunk];
  target.keys[target.count++] = key;
}

inline void EventQueue::push(SimTime time, uint32_t id) {
  const auto since = static_cast<uint64_t>(time.picoseconds() - base_ps_);
  if (since >> (kKeyBits - id_bits_) != 0) [[unlikely]] {
    push_far(time, id);
    return;
  }
  const uint64_t key = since << id_bits_ | id;
  SOAPBOX_DCHECK(key >= last_ && uint64_t{id} >> id_bits_ == 0,
                 "an event before the last one popped, or an id too large");
  if (key < front_end_) {
    insert_in_front(key);
  } else {
    insert(key);
  }
}

inline Event EventQueue::pop() {
  SOAPBOX_DCHECK(!empty(), "no event is pending");
  if (front_size_ - front_begin_ < kEnoughFront) fill_front();
  last_ = front_[front_begin_++];
  return {SimTime(base_ps_ + static_cast<int64_t>(last_ >> id_bits_)),
          static_cast<uint32_t>(last_ & id_mask())};
}

}  // namespace soapbox
