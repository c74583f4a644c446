// What the blocks of a plan send, in rows by sender: the form in which PlanEngine walks them.
//
// A send is what lower() makes a dependency (on one device) or a transfer of (between two). Rows
// are contiguous and a send is 16 bytes, so a piece with thousands of receivers costs a few cache
// lines. Made from blocks (blocks.h, sync.h) in O(pairs + tasks); as these, one changes only where
// a configuration that it touches does.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/engine/task_graph.h"
#include "sim/simulate/blocks.h"
#include "sim/simulate/plan_blocks.h"
#include "sim/simulate/sync.h"
#include "sim/simulate/transfer.h"

namespace soapbox {

struct Send {
  ResourceId link;  // of a transfer; invalid on one device
  uint32_t to = 0;  // a piece, a sum or a task of the receiving block
  Duration duration;
};
static_assert(sizeof(Send) == 16);

// The sends of each sender, senders in order.
class SendRows {
 public:
  // `counts` sends of each sender; add() fills them in.
  void reset(std::span<const uint32_t> counts);
  void add(uint32_t sender, const Send& send) { sends_[next_[sender + 1]++] = send; }
  std::span<const Send> of(uint32_t sender) const {
    return {sends_.data() + next_[sender], sends_.data() + next_[sender + 1]};
  }
  std::span<const Send> all() const { return sends_; }
  bool empty() const { return sends_.empty(); }

 private:
  // While filling, next_[s + 1] is where the next send of s goes; in the end it is where s ends.
  std::vector<uint32_t> next_;
  std::vector<Send> sends_;
};

struct EdgeSends {
  // Set in Send::to of a gradient that goes to a sum (by number) instead of a piece.
  static constexpr uint32_t kToSum = uint32_t{1} << 31;

  SendRows forward;   // by producer piece, to consumer pieces
  SendRows backward;  // by consumer piece, to producer pieces; empty if nothing flows back
  std::vector<uint32_t> forward_arrivals;   // that each consumer piece waits for
  std::vector<uint32_t> backward_arrivals;  // that each producer piece waits for, a sum as one
  std::vector<uint32_t> sum_arrivals;       // that each sum waits for; empty if nothing flows back
};

struct SyncSends {
  struct Task {
    ResourceId resource;
    uint32_t arrivals = 0;  // that it waits for, all backward work as one
    Duration duration;
  };
  std::vector<Task> tasks;
  SendRows successors;                   // by task
  SendRows contributors;                 // by piece of the users, user after user; to tasks
  std::vector<uint32_t> user_rows;       // the first row of each user in `contributors`
  std::vector<uint32_t> after_backward;  // tasks that wait for all backward work
};

struct PlanSends {
  IdVector<EdgeId, EdgeSends> edges;
  IdVector<WeightId, SyncSends> weights;
};

// `backward`: gradients flow along this edge, for which both ends have a backward.
EdgeSends make_edge_sends(const EdgeBlock& block, const OpConfig& producer,
                          const OpConfig& consumer, bool backward, TransferTable& transfers);
// `users` of the weight, ascending.
SyncSends make_sync_sends(const SyncBlock& block, std::span<const OpId> users, const Plan& plan,
                          const Cluster& cluster, TransferTable& transfers);
PlanSends make_plan_sends(const OpGraph& graph, const Plan& plan, const PlanBlocks& blocks,
                          const Cluster& cluster, TransferTable& transfers);

}  // namespace soapbox
