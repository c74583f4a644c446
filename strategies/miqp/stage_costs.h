// A chain instance as the exact solver reads it: whole numbers in doubles (all
// below 2^53, so sums are exact), infinity for what is not allowed, stages with
// equal memory grouped.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "strategies/miqp/chain.h"

namespace soapbox::miqp {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What a stage adds to each layer's costs.
enum class Kind : uint8_t {
  kPlain,   // nothing
  kHub,     // holds the hub: its later readers pay resharding inside the stage
  kFollow,  // comes right after the hub's stage: readers pay resharding across
            // stages
};

class StageCosts {
 public:
  explicit StageCosts(const Instance& instance, const Chain& chain);

  size_t positions() const { return positions_; }
  size_t strategies() const { return strategies_; }
  size_t stages() const { return group_of_.size(); }
  size_t groups() const { return limit_.size(); }
  size_t group_of(size_t stage) const { return group_of_[stage]; }
  double limit(size_t group) const { return limit_[group]; }

  // Rows of one entry per strategy.
  const double* time(size_t position, Kind kind = Kind::kPlain) const {
    return &time_[static_cast<size_t>(kind)][position * strategies_];
  }
  const double* memory(size_t group, size_t position) const {
    return &memory_[group][position * strategies_];
  }
  // Tables [strategy before][strategy] between position - 1 and position.
  const double* reshard(size_t position) const {
    return &reshard_[position * strategies_ * strategies_];
  }
  const double* reshard_cross(size_t position) const {
    return &reshard_cross_[position * strategies_ * strategies_];
  }

  // Equal for positions with equal costs, those of the edge into the position
  // included or not.
  uint32_t layer_type(size_t position) const { return layer_type_[position]; }
  uint32_t edge_type(size_t position) const { return edge_type_[position]; }

  // Conditions the chain on one position that other positions read over skip
  // edges: it has `strategy`, and every reader's costs are known. REQUIRES:
  // every skip edge starts there.
  void condition(const Instance& instance, const Chain& chain, size_t hub, size_t strategy);
  bool has_hub() const { return hub_ < positions_; }
  size_t hub() const { return hub_; }
  // What readers pay inside the hub's stage, or at the boundary after it; zero
  // for others.
  const double* inside_extra(size_t position) const {
    return &inside_extra_[position * strategies_];
  }
  const double* cross_extra(size_t position) const { return &cross_extra_[position * strategies_]; }

 private:
  void find_types();

  size_t positions_;
  size_t strategies_;
  size_t hub_ = std::numeric_limits<size_t>::max();
  std::vector<size_t> group_of_;
  std::vector<double> limit_;
  std::vector<double> time_[3];
  std::vector<std::vector<double>> memory_;
  std::vector<double> reshard_;
  std::vector<double> reshard_cross_;
  std::vector<double> inside_extra_;
  std::vector<double> cross_extra_;
  std::vector<uint32_t> layer_type_;
  std::vector<uint32_t> edge_type_;
};

}  // namespace soapbox::miqp
