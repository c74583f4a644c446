// Strong identifiers and the vectors that only they can index.
//
// StrongId<Tag> is a 32-bit index with no arithmetic: an id of one kind cannot be passed for
// another, added to, or used as a number without saying so. A default-made id is invalid.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "sim/base/check.h"

namespace soapbox {

template <class Tag>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(uint32_t value) : value_(value) {}
  // REQUIRES: index is below 2^32 - 1.
  static constexpr StrongId from_index(size_t index) {
    SOAPBOX_CHECK(index < kInvalid, "too many objects for a 32-bit id");
    return StrongId(static_cast<uint32_t>(index));
  }

  constexpr uint32_t value() const { return value_; }
  constexpr size_t index() const { return value_; }
  constexpr bool valid() const { return value_ != kInvalid; }
  friend constexpr auto operator<=>(StrongId, StrongId) = default;

 private:
  static constexpr uint32_t kInvalid = std::numeric_limits<uint32_t>::max();
  uint32_t value_ = kInvalid;
};

// A contiguous range of ids, for loops: for (OpId op : id_range<OpId>(count)).
template <class Id>
class IdRange {
 public:
  class Iterator {
   public:
    explicit Iterator(uint32_t value) : value_(value) {}
    Id operator*() const { return Id(value_); }
    Iterator& operator++() {
      ++value_;
      return *this;
    }
    friend bool operator==(Iterator, Iterator) = default;

   private:
    uint32_t value_;
  };
  explicit IdRange(size_t count) : count_(static_cast<uint32_t>(count)) {}
  Iterator begin() const { return Iterator(0); }
  Iterator end() const { return Iterator(count_); }

 private:
  uint32_t count_;
};

template <class Id>
IdRange<Id> id_range(size_t count) {
  return IdRange<Id>(count);
}

// std::vector<T> indexed by Id alone.
template <class Id, class T>
class IdVector {
 public:
  IdVector() = default;
  explicit IdVector(size_t count, const T& value = T()) : items_(count, value) {}

  typename std::vector<T>::reference operator[](Id id) {
    SOAPBOX_DCHECK(id.index() < items_.size(), "id out of range");
    return items_[id.index()];
  }
  typename std::vector<T>::const_reference operator[](Id id) const {
    SOAPBOX_DCHECK(id.index() < items_.size(), "id out of range");
    return items_[id.index()];
  }
  Id push_back(T item) {
    items_.push_back(std::move(item));
    return Id::from_index(items_.size() - 1);
  }
  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  void clear() { items_.clear(); }
  void reserve(size_t count) { items_.reserve(count); }
  void resize(size_t count, const T& value = T()) { items_.resize(count, value); }
  void assign(size_t count, const T& value) { items_.assign(count, value); }
  IdRange<Id> ids() const { return IdRange<Id>(items_.size()); }
  bool contains(Id id) const { return id.index() < items_.size(); }
  T& back() { return items_.back(); }
  const T& back() const { return items_.back(); }
  auto begin() { return items_.begin(); }
  auto end() { return items_.end(); }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  std::vector<T>& raw() { return items_; }
  const std::vector<T>& raw() const { return items_; }
  friend bool operator==(const IdVector&, const IdVector&) = default;

 private:
  std::vector<T> items_;
};

}  // namespace soapbox

template <class Tag>
struct std::hash<soapbox::StrongId<Tag>> {
  size_t operator()(soapbox::StrongId<Tag> id) const { return id.index(); }
};
