// What the blocks of a plan send, in rows by sender: the form in which PlanEngine walks them.
//
// A send is what lower() makes a dependency (on one device) or a transfer of (between two). Sends
// that follow each other over one link, equally long, to neighbouring receivers are one run of 24
// bytes; a piece that sends to all 64 pieces of a consumer is some five runs. Made from blocks
// (blocks.h, sync.h) in O(pairs + tasks); as these, one changes only where a configuration that it
// touches does.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/engine/task_graph.h"
#include "sim/simulate/blocks.h"
#include "sim/simulate/plan_blocks.h"
#include "sim/simulate/sync.h"
#include "sim/simulate/transfer.h"

namespace soapbox {

// What each sender sends, senders in order.
template <class Item>
class Rows {
 public:
  // `counts` items of each sender; add() fills them in.
  void reset(std::span<const uint32_t> counts) {
    next_.assign(counts.size() + 1, 0);
    uint32_t begin = 0;
    for (size_t sender = 0; sender < counts.size(); ++sender) {
      next_[sender + 1] = begin;
      begin += counts[sender];
    }
    items_.resize(begin);
  }
  void add(uint32_t sender, const Item& item) { items_[next_[sender + 1]++] = item; }
  // The other way to fill them: sender by sender.
  void start(size_t senders) {
    next_.assign(1, 0);
    next_.reserve(senders + 1);
    items_.clear();
  }
  void append(const Item& item) { items_.push_back(item); }
  void end_sender() { next_.push_back(static_cast<uint32_t>(items_.size())); }

  std::span<const Item> of(uint32_t sender) const {
    return {items_.data() + next_[sender], items_.data() + next_[sender + 1]};
  }
  std::span<const Item> all() const { return items_; }
  bool empty() const { return items_.empty(); }

 private:
  // While filling, next_[s + 1] is where the next item of s goes; in the end it is where s ends.
  std::vector<uint32_t> next_ = {0};
  std::vector<Item> items_;
};

struct Send {
  ResourceId link;  // of a transfer; invalid on one device
  uint32_t to = 0;  // a piece or a sum of the receiving block
  Duration duration;
};
static_assert(sizeof(Send) == 16);

// Sends that follow each other, to `to`, `to` + 1, ...
struct SendRun {
  ResourceId link;
  uint32_t to = 0;
  uint32_t count = 0;
  Duration duration;  // of each
};
static_assert(sizeof(SendRun) == 24);

struct SendRows {
  Rows<SendRun> runs;
  bool uses_links = false;  // any of them
  // Every sender sends once to every receiver. A receiver then waits for the senders together, as
  // for one arrival: the last of them to send brings its last input.
  bool is_all_to_all = false;
};

struct EdgeSends {
  // Set in SendRun::to of gradients that go to sums (by number) instead of pieces.
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
  Rows<uint32_t> successors;             // by task, to tasks
  Rows<uint32_t> contributors;           // by piece of the users, user after user; to tasks
  std::vector<uint32_t> user_rows;       // the first row of each user in `contributors`
  std::vector<uint32_t> after_backward;  // tasks that wait for all backward work
};

// Edges that send alike share what they send.
struct PlanSends {
  IdVector<EdgeId, std::shared_ptr<const EdgeSends>> edges;
  IdVector<WeightId, SyncSends> weights;
};

// Makes the sends of edges; keeps its memory between them.
class EdgeSender {
 public:
  // `backward`: gradients flow along this edge, for which both ends have a backward.
  EdgeSends make(const EdgeBlock& block, const OpConfig& producer, const OpConfig& consumer,
                 bool backward, TransferTable& transfers);

 private:
  void make_forward(const EdgeBlock& block, const OpConfig& producer, const OpConfig& consumer,
                    TransferTable& transfers);
  void make_backward(const EdgeBlock& block, const OpConfig& producer, const OpConfig& consumer,
                     TransferTable& transfers, EdgeSends& sends);
  SendRows to_runs(size_t senders);

  std::vector<uint32_t> by_producer_, by_consumer_;  // pairs of each
  std::vector<uint32_t> target_;                     // of gradients to each producer piece
  Rows<Send> rows_;
  Rows<SendRun> runs_;
};

// `users` of the weight, ascending.
SyncSends make_sync_sends(const SyncBlock& block, std::span<const OpId> users, const Plan& plan,
                          const Cluster& cluster, TransferTable& transfers);
PlanSends make_plan_sends(const OpGraph& graph, const Plan& plan, const PlanBlocks& blocks,
                          const Cluster& cluster, TransferTable& transfers);

}  // namespace soapbox
