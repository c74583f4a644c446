// A binary heap of the next event of each of a fixed set of slots. Unlike in an EventQueue, an
// event can be moved or taken away, and every slot has at most one.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/units.h"

namespace soapbox {

class IndexedHeap {
 public:
  void reset(size_t slots) {
    heap_.clear();
    place_.assign(slots, kAbsent);
  }
  bool empty() const { return heap_.empty(); }
  // The slot with the smallest (time, slot). REQUIRES: not empty.
  SimTime top_time() const { return heap_.front().time; }
  uint32_t top_slot() const { return heap_.front().slot; }
  // Gives the slot this event, whether it had one or not.
  void set(uint32_t slot, SimTime time) {
    const Entry entry{time, slot};
    if (place_[slot] == kAbsent) {
      heap_.push_back(entry);
      raise(heap_.size() - 1, entry);
    } else if (heap_[place_[slot]].time < time) {
      sink(place_[slot], entry);
    } else {
      raise(place_[slot], entry);
    }
  }
  // Takes the slot's event away, if it has one.
  void remove(uint32_t slot) {
    const uint32_t hole = place_[slot];
    if (hole == kAbsent) return;
    place_[slot] = kAbsent;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (hole == heap_.size()) return;
    if (hole > 0 && last < heap_[(hole - 1) / 2]) {
      raise(hole, last);
    } else {
      sink(hole, last);
    }
  }

 private:
  struct Entry {
    SimTime time;
    uint32_t slot;
    friend constexpr auto operator<=>(const Entry&, const Entry&) = default;
  };
  static constexpr uint32_t kAbsent = UINT32_MAX;

  void put(size_t index, const Entry& entry) {
    heap_[index] = entry;
    place_[entry.slot] = static_cast<uint32_t>(index);
  }
  void raise(size_t index, const Entry& entry) {
    while (index > 0 && entry < heap_[(index - 1) / 2]) {
      put(index, heap_[(index - 1) / 2]);
      index = (index - 1) / 2;
    }
    put(index, entry);
  }
  void sink(size_t index, const Entry& entry) {
    for (;;) {
      size_t child = 2 * index + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
      if (entry <= heap_[child]) break;
      put(index, heap_[child]);
      index = child;
    }
    put(index, entry);
  }

  std::vector<Entry> heap_;
  std::vector<uint32_t> place_;  // of a slot in heap_
};

}  // namespace soapbox
