// An instance as the checker of certificates reads it: a path of positions, in
// integers. Part of the checker: nothing of the solver is used here.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "strategies/miqp/certificate.h"

namespace soapbox::miqp {

class ProofCosts {
 public:
  // The path of an instance's layers: edges between neighbours are charged, and
  // with a hub (a position) that has a known strategy, its edges to later
  // readers. All others are left out, which makes no plan dearer. Error: the
  // layers are no path, or stages may be empty.
  static Result<ProofCosts> make(const Instance& instance, std::optional<size_t> hub,
                                 size_t hub_strategy);

  size_t positions() const { return positions_; }
  size_t strategies() const { return strategies_; }
  size_t stages() const { return group_of_.size(); }
  int64_t microbatches() const { return microbatches_; }
  // The position of the hub; positions() without one.
  size_t hub() const { return hub_; }

  // Stages with the same limit and activations in flight are one group.
  size_t groups() const { return limit_.size(); }
  size_t group_of(size_t stage) const { return group_of_[stage]; }
  int64_t limit(size_t group) const { return limit_[group]; }

  // Rows of one entry per strategy; kUnlimited is not allowed.
  const int64_t* time(ProofKind kind, size_t position) const {
    return &time_[static_cast<size_t>(kind)][position * strategies_];
  }
  const int64_t* memory(size_t group, size_t position) const {
    return &memory_[group][position * strategies_];
  }
  // Tables [strategy before][strategy] of the edges into a position.
  const int64_t* reshard(size_t position) const {
    return &reshard_[position * strategies_ * strategies_];
  }
  const int64_t* reshard_cross(size_t position) const {
    return &reshard_cross_[position * strategies_ * strategies_];
  }
  // Equal for positions with equal rows, those of the edges into it included.
  uint32_t type_of(size_t position) const { return type_[position]; }

  // Whether weights 2^shift time + multiplier memory stay far below kUnlimited.
  bool in_range(int64_t shift, int64_t multiplier) const;

 private:
  void read_memory(const Instance& instance, const std::vector<uint32_t>& order);
  void read_times(const Instance& instance, const std::vector<uint32_t>& order,
                  size_t hub_strategy);
  Status read_edges(const Instance& instance, const std::vector<uint32_t>& order,
                    size_t hub_strategy);
  void find_types();
  void find_sums();

  size_t positions_ = 0;
  size_t strategies_ = 0;
  int64_t microbatches_ = 1;
  size_t hub_ = 0;
  std::vector<size_t> group_of_;
  std::vector<int64_t> limit_;
  std::vector<int64_t> time_[3];
  std::vector<std::vector<int64_t>> memory_;
  std::vector<int64_t> reshard_;
  std::vector<int64_t> reshard_cross_;
  std::vector<uint32_t> type_;
  int64_t time_sum_ = 0;  // of the largest entries
  int64_t memory_sum_ = 0;
};

}  // namespace soapbox::miqp
