#include "strategies/miqp/proof_paths.h"

#include <algorithm>

namespace soapbox::miqp {
namespace {

struct Label {
  int64_t value = 0;
  int64_t memory = 0;
  int64_t time = 0;  // the stage's own; `value` but for a hub's follower
};

class EntryCheck {
 public:
  EntryCheck(const ProofCosts& costs, size_t group, int64_t shift, const ProofEntry& entry)
      : costs_(costs),
        group_(group),
        shift_(shift),
        entry_(entry),
        count_(costs.strategies()),
        length_(entry.interval.last - entry.interval.first + 1),
        follows_(entry.interval.kind == ProofKind::kFollow),
        weighs_(entry.value < kUnlimited >> shift) {
    if (!follows_) return;
    // What readers pay at the boundary is at most this.
    const int64_t* const cross = costs.reshard_cross(entry.interval.first);
    int64_t least = kUnlimited;
    for (size_t k = 0; k < count_; ++k) {
      for (size_t l = 0; l < count_; ++l) {
        if (may_start(l)) least = std::min(least, cross[k * count_ + l]);
      }
    }
    most_extra_ = entry.most - std::min(least, entry.most + 1);
  }

  EntryVerdict run(uint64_t most_labels, uint64_t& labels) {
    value_to_go_ = to_go(1, 0, false);
    memory_to_go_ = to_go(0, 1, true);
    weight_to_go_ = to_go(int64_t{1} << shift_, entry_.multiplier, false);
    std::vector<std::vector<Label>> fronts(count_);
    for (size_t k = 0; k < count_; ++k) {
      if (may_start(k)) extend({}, 0, 0, k, fronts[k]);
    }
    for (size_t u = 1; u < length_; ++u) {
      std::vector<std::vector<Label>> next(count_);
      for (size_t l = 0; l < count_; ++l) {
        for (size_t k = 0; k < count_; ++k) {
          const int64_t step = costs_.reshard(position(u))[k * count_ + l];
          if (step >= kUnlimited) continue;
          for (const Label& from : fronts[k]) extend(from, step, u, l, next[l]);
        }
        keep_front(next[l]);
        labels += next[l].size();
        if (labels > most_labels) return EntryVerdict::kTooLarge;
      }
      fronts = std::move(next);
    }
    const bool none = std::all_of(fronts.begin(), fronts.end(),
                                  [](const std::vector<Label>& front) { return front.empty(); });
    return none ? EntryVerdict::kHolds : EntryVerdict::kTooHigh;
  }

 private:
  size_t position(size_t u) const { return entry_.interval.first + u; }
  bool may_start(size_t k) const {
    return entry_.first_strategy < 0 || static_cast<size_t>(entry_.first_strategy) == k;
  }
  bool may_end(size_t k) const {
    return entry_.last_strategy < 0 || static_cast<size_t>(entry_.last_strategy) == k;
  }

  // The least weight of the layers after each (layer, strategy).
  std::vector<int64_t> to_go(int64_t time_weight, int64_t memory_weight, bool memory_alone) const {
    std::vector<int64_t> rest(length_ * count_, kUnlimited);
    for (size_t k = 0; k < count_; ++k) {
      if (may_end(k)) rest[(length_ - 1) * count_ + k] = 0;
    }
    for (size_t u = length_ - 1; u-- > 0;) {
      const int64_t* const time = costs_.time(entry_.interval.kind, position(u + 1));
      const int64_t* const memory = costs_.memory(group_, position(u + 1));
      const int64_t* const table = costs_.reshard(position(u + 1));
      for (size_t l = 0; l < count_; ++l) {
        const int64_t after = rest[(u + 1) * count_ + l];
        if (after >= kUnlimited || time[l] >= kUnlimited) continue;
        const int64_t weight =
            after + (memory_alone ? memory[l] : time_weight * time[l] + memory_weight * memory[l]);
        for (size_t k = 0; k < count_; ++k) {
          const int64_t step = table[k * count_ + l];
          if (step >= kUnlimited) continue;
          int64_t& to = rest[u * count_ + k];
          to = std::min(to, weight + (memory_alone ? 0 : time_weight * step));
        }
      }
    }
    return rest;
  }

  void extend(const Label& from, int64_t step, size_t u, size_t k, std::vector<Label>& to) const {
    const int64_t value = costs_.time(entry_.interval.kind, position(u))[k];
    const int64_t time = costs_.time(ProofKind::kPlain, position(u))[k];
    const size_t at = u * count_ + k;
    if (value >= kUnlimited || value_to_go_[at] >= kUnlimited) return;
    Label label = from;
    label.value += step + value;
    label.time += step + (follows_ ? time : value);
    label.memory += costs_.memory(group_, position(u))[k];
    if (label.memory + memory_to_go_[at] > costs_.limit(group_)) return;
    if (label.value + value_to_go_[at] >= entry_.value) return;
    if (follows_ && (label.time > entry_.most || label.value - label.time > most_extra_)) return;
    if (weighs_) {
      // weight - multiplier limit > 2^shift (value - 1): no completion fits.
      const int64_t weight = (label.value << shift_) + entry_.multiplier * label.memory;
      const int64_t room = costs_.limit(group_) * entry_.multiplier;
      if (weight + weight_to_go_[at] - room > (entry_.value - 1) << shift_) return;
    }
    to.push_back(label);
  }

  // Drops labels that another is at most in value, memory and time.
  void keep_front(std::vector<Label>& labels) const {
    std::sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) {
      if (a.value != b.value) return a.value < b.value;
      return a.memory != b.memory ? a.memory < b.memory : a.time < b.time;
    });
    size_t kept = 0;
    for (const Label& label : labels) {
      const auto covers = [&](const Label& other) {
        return other.memory <= label.memory && other.time <= label.time &&
               other.value - other.time <= label.value - label.time;
      };
      const auto end = labels.begin() + static_cast<std::ptrdiff_t>(kept);
      // By increasing value, memory decreases along the front; only a follower
      // has a third cost.
      const bool useless = follows_ ? std::any_of(labels.begin(), end, covers)
                                    : kept > 0 && labels[kept - 1].memory <= label.memory;
      if (!useless) labels[kept++] = label;
    }
    labels.resize(kept);
  }

  const ProofCosts& costs_;
  size_t group_;
  int64_t shift_;
  const ProofEntry& entry_;
  size_t count_;
  size_t length_;
  bool follows_;
  bool weighs_;  // the value is in range of weights
  int64_t most_extra_ = kUnlimited;
  std::vector<int64_t> value_to_go_;  // [layer][strategy]
  std::vector<int64_t> memory_to_go_;
  std::vector<int64_t> weight_to_go_;
};

}  // namespace

EntryVerdict check_entry(const ProofCosts& costs, size_t group, int64_t shift,
                         const ProofEntry& entry, uint64_t most_labels, uint64_t& labels) {
  return EntryCheck(costs, group, shift, entry).run(most_labels, labels);
}

}  // namespace soapbox::miqp
