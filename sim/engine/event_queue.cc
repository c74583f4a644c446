#include "sim/engine/event_queue.h"

#include <algorithm>

namespace soapbox {

void EventQueue::clear() {
  floor_ = 0;
  levels_in_use_ = 0;
  digits_in_use_.fill(0);
  heads_.fill(kNone);
  free_ = kNone;
  pool_.clear();
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
  digits_in_use_[static_cast<size_t>(bucket.level)] |= 1u << bucket.digit;
}

void EventQueue::detach(Bucket bucket) {
  head(bucket) = kNone;
  uint32_t& digits = digits_in_use_[static_cast<size_t>(bucket.level)];
  digits &= ~(1u << bucket.digit);
  if (digits == 0) levels_in_use_ &= ~(1u << bucket.level);
}

void EventQueue::spread(Bucket bucket) {
  const uint32_t first = head(bucket);
  detach(bucket);
  Key smallest = key(pool_[first].events[0]);
  for (uint32_t chunk = first; chunk != kNone; chunk = pool_[chunk].next) {
    for (uint32_t i = 0; i < pool_[chunk].count; ++i) {
      smallest = std::min(smallest, key(pool_[chunk].events[i]));
    }
  }
  SOAPBOX_DCHECK(bucket.level > 0, "two events with one key");
  floor_ = smallest;
  for (uint32_t chunk = first; chunk != kNone;) {
    for (uint32_t i = 0; i < pool_[chunk].count; ++i) {
      insert(Event(pool_[chunk].events[i]));  // a copy: the pool may move when it grows
    }
    const uint32_t next = pool_[chunk].next;
    free_chunk(chunk);
    chunk = next;
  }
}

}  // namespace soapbox
