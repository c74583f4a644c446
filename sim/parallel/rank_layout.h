// RankLayout: where the ranks of a stage sit and which of them work together, for one strategy.
//
// Rank r of a stage is tensor rank r mod T, context rank (r / T) mod C and data rank r / (T C).
// Replicas, the data and context ranks together, are numbered q = r / T. Expert groups are runs of
// consecutive replicas; sharding groups likewise.
#pragma once

#include <cstdint>

#include "sim/collective/group_cost.h"
#include "sim/parallel/layer_work.h"
#include "sim/plan/parallel_plan.h"

namespace soapbox {

// `count` devices, `stride` apart, on nodes of `devices_per_node`; their like at every offset do
// the same at the same time.
GroupShape strided_group(int64_t count, int64_t stride, int64_t devices_per_node);

// A rank of one stage and its counterpart of another, in stages of `ranks`: of all such pairs,
// which meet at the same time, the one that is furthest apart.
GroupShape stage_pair(int64_t from, int64_t to, int64_t ranks, int64_t devices_per_node);

class RankLayout {
 public:
  RankLayout(const LayerStrategy& strategy, int64_t devices_per_node)
      : strategy_(strategy), devices_per_node_(devices_per_node) {}

  int32_t replicas() const { return strategy_.data_parallel * strategy_.context_parallel; }
  int32_t rank_count() const { return replicas() * strategy_.tensor_parallel; }
  // Replicas that hold the same dense parameters, and the same experts.
  int32_t expert_replicas() const { return replicas() / strategy_.expert_parallel; }
  // Ranks over which sharded states are spread.
  int32_t shard_count() const {
    return strategy_.shard_group > 0 ? strategy_.shard_group : replicas();
  }

  GroupShape shape(RankGroup group) const;
  GroupShape replica_group() const;         // all that hold the same dense parameters
  GroupShape shard_group() const;           // those among which they are sharded
  GroupShape shard_replica_group() const;   // those that hold the same shard
  GroupShape expert_replica_group() const;  // all that hold the same experts

  // The first rank of the group that `rank` belongs to.
  int32_t leader(RankGroup group, int32_t rank) const;
  int32_t replica_leader(int32_t rank) const { return rank % strategy_.tensor_parallel; }

 private:
  LayerStrategy strategy_;
  int64_t devices_per_node_;
};

}  // namespace soapbox
