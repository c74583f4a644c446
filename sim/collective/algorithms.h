// The schedules of the collective algorithms, one .cc file each. Their rows are in collective.cc.
#pragma once

#include <cstdint>
#include <memory>

#include "sim/base/result.h"
#include "sim/collective/schedule.h"
#include "sim/collective/terrain.h"

namespace soapbox {

enum class CollectiveOp : uint8_t {
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kBroadcast,  // from rank 0
  kAllToAll,
  kSendRecv,  // every rank to the next, the last to the first
};

struct CollectiveShape {
  CollectiveOp op = CollectiveOp::kAllReduce;
  uint32_t ranks = 2;       // >= 2
  uint32_t group_size = 1;  // ranks that follow each other on one node; for hierarchical algorithms
};

// Each takes the collectives of its row in collective.cc. Where a number of ranks is not supported,
// an error says which are.
using BuildSchedule = Result<std::unique_ptr<const Schedule>>(const CollectiveShape& shape);
BuildSchedule build_ring;
BuildSchedule build_tree;
BuildSchedule build_double_binary_tree;
BuildSchedule build_halving_doubling;
BuildSchedule build_direct;
BuildSchedule build_hierarchical;

// Seconds for `bytes` in `chunks`, by the alpha-beta model of the file's head: what `auto`
// compares.
using EstimateSeconds = double(const Terrain& terrain, CollectiveOp op, double bytes,
                               double chunks);
EstimateSeconds estimate_ring;
EstimateSeconds estimate_tree;
EstimateSeconds estimate_double_binary_tree;
EstimateSeconds estimate_halving_doubling;
EstimateSeconds estimate_direct;
EstimateSeconds estimate_hierarchical;

}  // namespace soapbox
