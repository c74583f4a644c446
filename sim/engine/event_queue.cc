#include "sim/engine/event_queue.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace soapbox {

void EventQueue::clear(uint64_t ids) {
  SOAPBOX_CHECK(ids <= kMostIds, "ids have 32 bits");
  base_ps_ = 0;
  id_bits_ = static_cast<int>(std::bit_width(std::max<uint64_t>(ids, 2) - 1));
  floor_ = 0;
  last_ = 0;
  front_end_ = 0;
  front_begin_ = front_size_ = 0;
  levels_in_use_ = 0;
  digits_in_use_.fill(0);
  heads_.fill(kNone);
  free_ = kNone;
  pool_.clear();
  far_.clear();
}

void EventQueue::push_far(SimTime time, uint32_t id) {
  SOAPBOX_DCHECK(time.picoseconds() >= base_ps_, "an event before the last one popped");
  far_.push_back({time.picoseconds(), id});
  std::push_heap(far_.begin(), far_.end(), std::greater<>());
}

// Makes the earliest far event the base. REQUIRES: no near event is left.
void EventQueue::move_base() {
  floor_ = 0;
  last_ = 0;
  base_ps_ = far_.front().time_ps;
  while (!far_.empty()) {
    const auto since = static_cast<uint64_t>(far_.front().time_ps - base_ps_);
    if (since >> (kKeyBits - id_bits_) != 0) return;
    insert(since << id_bits_ | far_.front().id);
    std::pop_heap(far_.begin(), far_.end(), std::greater<>());
    far_.pop_back();
  }
}

void EventQueue::add_chunk(Bucket bucket) {
  uint32_t chunk = free_;
  if (chunk != kNone) {
    free_ = pool_[chunk].next;
  } else {
    chunk = static_cast<uint32_t>(pool_.size());
    pool_.emplace_back();
  }
  pool_[chunk].count = 0;
  pool_[chunk].next = head(bucket);
  head(bucket) = chunk;
  levels_in_use_ |= 1u << bucket.level;
  digits_in_use_[static_cast<size_t>(bucket.level)] |= uint64_t{1} << bucket.digit;
}

void EventQueue::detach(Bucket bucket) {
  head(bucket) = kNone;
  uint64_t& digits = digits_in_use_[static_cast<size_t>(bucket.level)];
  digits &= ~(uint64_t{1} << bucket.digit);
  if (digits == 0) levels_in_use_ &= ~(1u << bucket.level);
}

// Moves the keys of a bucket to lower levels.
void EventQueue::spread(Bucket bucket) {
  SOAPBOX_DCHECK(bucket.level > 0, "two events with one key");
  uint32_t chunk = head(bucket);
  detach(bucket);
  floor_ = UINT64_MAX;
  for (uint32_t i = chunk; i != kNone; i = pool_[i].next) {
    const Chunk& keys = pool_[i];
    for (uint32_t k = 0; k < keys.count; ++k) floor_ = std::min(floor_, keys.keys[k]);
  }
  while (chunk != kNone) {
    for (uint32_t i = 0; i < pool_[chunk].count; ++i) {
      const uint64_t key = pool_[chunk].keys[i];  // a copy: the pool may move when it grows
      insert(key);
    }
    const uint32_t next = pool_[chunk].next;
    free_chunk(chunk);
    chunk = next;
  }
}

// Takes buckets until the front holds enough, but spreads one only for an empty front: its keys may
// be far above the last one popped, and pushes between could then not be placed.
void EventQueue::fill_front() {
  if (front_begin_ == front_size_) {
    front_begin_ = front_size_ = 0;
    if (levels_in_use_ == 0) move_base();
    while (!holds_few(head(first_bucket()))) spread(first_bucket());
  }
  if (front_begin_ > kMostFront / 2) compact_front();
  while (front_size_ - front_begin_ < kEnoughFront && levels_in_use_ != 0) {
    const Bucket bucket = first_bucket();
    if (!holds_few(head(bucket))) return;
    take(bucket);
  }
}

void EventQueue::compact_front() {
  std::copy(front_.begin() + front_begin_, front_.begin() + front_size_, front_.begin());
  front_size_ -= std::exchange(front_begin_, 0);
}

// Sorts a bucket that holds few into the end of the front. REQUIRES: it is the first.
void EventQueue::take(Bucket bucket) {
  uint32_t chunk = head(bucket);
  detach(bucket);
  const uint32_t begin = front_size_;
  while (chunk != kNone) {
    const Chunk& keys = pool_[chunk];
    for (uint32_t i = 0; i < keys.count; ++i) insert_sorted(keys.keys[i], begin);
    const uint32_t next = keys.next;
    free_chunk(chunk);
    chunk = next;
  }
  const int shift = bucket.level * kDigitBits;
  front_end_ = ((front_[begin] >> shift) + 1) << shift;
}

// An event that comes before all buckets.
void EventQueue::insert_in_front(uint64_t key) {
  if (front_size_ == kMostFront) {
    if (front_begin_ < kMostFront / 2) {
      // Too many to keep sorted: back into buckets.
      floor_ = last_;
      front_end_ = 0;
      for (; front_begin_ < front_size_; ++front_begin_) insert(front_[front_begin_]);
      insert(key);
      return;
    }
    compact_front();
  }
  insert_sorted(key, front_begin_);
}

}  // namespace soapbox
