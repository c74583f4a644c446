// A lower bound on the iteration time of a plan, proven from its blocks without simulating it.
//
// Let a group be the like tasks of one block: an operator's forward pieces, an edge's transfers, a
// weight's synchronisation, ... For every group two levels are computed on the operator graph:
//   head(g)  no task of g is ready before it: the longest path of shortest pieces that must end
//   first tail(g)  after a task of g ends, at least this much follows
// A resource serves one task at a time, so for every moment h (the one-machine bound with heads and
// tails):
//   makespan >= h + sum of work of the groups with head >= h on that resource + their smallest tail
// and for every group: makespan >= head + its shortest task + tail (the critical path).
// Exact for any order of the tasks, so neither FIFO order nor its anomalies matter. O(groups log
// groups + (group, resource) pairs), some hundred times less than a simulation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/engine/task_graph.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"
#include "sim/simulate/plan_blocks.h"
#include "sim/simulate/sends.h"

namespace soapbox {

// What a group asks of the resources it uses.
struct GroupProfile {
  struct Demand {
    ResourceId resource;
    Duration work;
  };
  std::vector<Demand> demands;  // by resource
  Duration shortest;            // no task of the group, or passage through it, is shorter
};

struct OpProfile {
  GroupProfile forward;
  GroupProfile backward;
};

// `shortest` is the least time between a producer piece's end and a consumer piece's start.
struct EdgeProfile {
  GroupProfile forward;
  GroupProfile backward;
  bool feeds_all = false;  // every consumer piece waits for some producer piece
  bool read_all = false;   // every producer piece is read by some consumer piece
};

struct SyncProfile {
  GroupProfile group;
  Duration serial;             // SyncMode::kSerial: beside the tasks
  bool waits_for_all = false;  // every task waits, in the end, for a part of every user's gradient
};

// Sums work by resource; keeps its memory between profiles.
class DemandSum {
 public:
  explicit DemandSum(const Cluster& cluster);
  void add(ResourceId resource, Duration work) {
    if (!is_used_[resource]) {
      is_used_[resource] = true;
      used_.push_back(resource);
    }
    work_[resource] += work;
  }
  // What was added since the last call, by resource.
  std::vector<GroupProfile::Demand> take();

 private:
  IdVector<ResourceId, Duration> work_;
  IdVector<ResourceId, uint8_t> is_used_;
  std::vector<ResourceId> used_;
};

OpProfile make_op_profile(const OpBlock& block, const OpConfig& config, DemandSum& sum);
EdgeProfile make_edge_profile(const EdgeBlock& block, const EdgeSends& sends,
                              const OpConfig& producer, DemandSum& sum);
SyncProfile make_sync_profile(const SyncBlock& block, const SyncSends& sends, size_t user_count,
                              DemandSum& sum);

// What follows the end of a task at least, and what each resource has to do.
struct TailBounds {
  IdVector<OpId, int64_t> forward_ps;  // after any piece
  IdVector<OpId, int64_t> backward_ps;
  IdVector<ResourceId, int64_t> work_ps;
  IdVector<ResourceId, int64_t> tail_ps;  // after the last task on the resource
};

struct LowerBound {
  enum class Kind : uint8_t { kCriticalPath, kWork, kLink };
  Duration value;
  Kind kind = Kind::kCriticalPath;
};
std::string to_string(LowerBound::Kind kind);

// The profiles of a whole plan. Profiles may be exchanged one by one.
class PlanBounds {
 public:
  PlanBounds(const OpGraph& graph, const Cluster& cluster);

  IdVector<OpId, OpProfile> ops;
  IdVector<EdgeId, EdgeProfile> edges;
  IdVector<WeightId, SyncProfile> weights;

  // The largest bound; or the first one found above `enough`, which is then still a bound.
  LowerBound compute(Duration enough);
  // Of the profiles that compute() saw last.
  const TailBounds& tails();

 private:
  struct Group {
    int64_t head_ps;
    int64_t tail_ps;
    const GroupProfile* profile;
  };
  struct Load {
    int64_t work_ps = 0;
    int64_t tail_ps = 0;
  };
  void compute_heads();
  void compute_tails();
  void collect_groups();
  int64_t sync_head(WeightId weight) const;

  const OpGraph* graph_;
  const Cluster* cluster_;
  IdVector<OpId, int64_t> forward_head_, backward_head_;
  TailBounds tails_;
  std::vector<Group> groups_;
  IdVector<ResourceId, Load> loads_;
};

// What remains certain when an engine rounds.
Duration rounded_down(Duration bound, NetworkModel network);
// Of the makespan of a plan. Under NetworkModel::kFair a billionth is taken off, since rates and
// ends are rounded there.
LowerBound lower_bound(const OpGraph& graph, const Cluster& cluster, const Plan& plan,
                       NetworkModel network, const PlanBlocks& blocks);

}  // namespace soapbox
