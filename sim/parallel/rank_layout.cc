#include "sim/parallel/rank_layout.h"

#include <algorithm>
#include <cstdlib>

namespace soapbox {

GroupShape strided_group(int64_t count, int64_t stride, int64_t devices_per_node) {
  GroupShape shape;
  if (stride >= devices_per_node) {
    shape.nodes = count;
    shape.groups_per_node = devices_per_node;
    shape.node_stride = stride / devices_per_node;
    return shape;
  }
  // A stride that does not divide a node still meets its first and its last device.
  shape.ranks_per_node = std::clamp<int64_t>((devices_per_node + stride - 1) / stride, 1, count);
  shape.nodes = (count + shape.ranks_per_node - 1) / shape.ranks_per_node;
  shape.groups_per_node = std::max<int64_t>(1, devices_per_node / shape.ranks_per_node);
  return shape;
}

GroupShape stage_pair(int64_t from, int64_t to, int64_t ranks, int64_t devices_per_node) {
  int64_t apart = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const int64_t sender = (from * ranks + rank) / devices_per_node;
    const int64_t receiver = (to * ranks + rank) / devices_per_node;
    apart = std::max(apart, std::abs(receiver - sender));
  }
  if (apart == 0) {
    return {.ranks_per_node = 2, .groups_per_node = std::max<int64_t>(1, devices_per_node / 2)};
  }
  return {.nodes = 2, .groups_per_node = std::min(ranks, devices_per_node), .node_stride = apart};
}

GroupShape RankLayout::shape(RankGroup group) const {
  const int64_t t = strategy_.tensor_parallel;
  switch (group) {
    case RankGroup::kTensor:
      return strided_group(t, 1, devices_per_node_);
    case RankGroup::kContext:
      return strided_group(strategy_.context_parallel, t, devices_per_node_);
    case RankGroup::kExpert:
      return strided_group(strategy_.expert_parallel, t, devices_per_node_);
  }
  return {};
}

GroupShape RankLayout::replica_group() const {
  return strided_group(replicas(), strategy_.tensor_parallel, devices_per_node_);
}

GroupShape RankLayout::shard_group() const {
  return strided_group(shard_count(), strategy_.tensor_parallel, devices_per_node_);
}

GroupShape RankLayout::shard_replica_group() const {
  return strided_group(replicas() / shard_count(),
                       int64_t{strategy_.tensor_parallel} * shard_count(), devices_per_node_);
}

GroupShape RankLayout::expert_replica_group() const {
  return strided_group(expert_replicas(),
                       int64_t{strategy_.tensor_parallel} * strategy_.expert_parallel,
                       devices_per_node_);
}

int32_t RankLayout::leader(RankGroup group, int32_t rank) const {
  const int32_t t = strategy_.tensor_parallel;
  const int32_t replica = rank / t;
  switch (group) {
    case RankGroup::kTensor:
      return replica * t;
    case RankGroup::kContext:
      return (replica - replica % strategy_.context_parallel) * t + rank % t;
    case RankGroup::kExpert:
      return (replica - replica % strategy_.expert_parallel) * t + rank % t;
  }
  return rank;
}

}  // namespace soapbox
