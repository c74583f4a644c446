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

EventQueue::Summary EventQueue::summarise(uint32_t chunk) const {
  Summary summary{key(pool_[chunk].events[0]), 0};
  for (; chunk != kNone; chunk = pool_[chunk].next) {
    ++summary.chunks;
    for (uint32_t i = 0; i < pool_[chunk].count; ++i) {
      summary.smallest = std::min(summary.smallest, key(pool_[chunk].events[i]));
    }
  }
  return summary;
}

}  // namespace soapbox
