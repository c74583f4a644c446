#include "sim/simulate/sends.h"

#include <algorithm>

namespace soapbox {

void SendRows::reset(std::span<const uint32_t> counts) {
  next_.assign(counts.size() + 1, 0);
  uint32_t begin = 0;
  for (size_t sender = 0; sender < counts.size(); ++sender) {
    next_[sender + 1] = begin;
    begin += counts[sender];
  }
  sends_.resize(begin);
}

EdgeSends make_edge_sends(const EdgeBlock& block, const OpConfig& producer,
                          const OpConfig& consumer, bool backward, TransferTable& transfers) {
  EdgeSends sends;
  std::vector<uint32_t> by_producer(producer.task_count(), 0);
  std::vector<uint32_t> by_consumer(consumer.task_count(), 0);
  for (const PiecePair& pair : block.pairs) {
    ++by_producer[pair.producer_piece];
    ++by_consumer[pair.consumer_piece];
  }
  sends.forward.reset(by_producer);
  for (const PiecePair& pair : block.pairs) {
    Send send{{}, pair.consumer_piece, {}};
    if (!pair.local) {
      const FifoTransfer transfer =
          transfers.find(producer.devices[pair.producer_piece],
                         consumer.devices[pair.consumer_piece], pair.bytes, MeetingEnd::kSender);
      send.link = transfer.link;
      send.duration = transfer.duration;
    }
    sends.forward.add(pair.producer_piece, send);
  }
  sends.forward_arrivals = by_consumer;
  if (!backward) return sends;
  std::vector<uint32_t> target(producer.task_count());
  for (uint32_t piece = 0; piece < target.size(); ++piece) target[piece] = piece;
  sends.backward_arrivals = std::move(by_producer);
  for (uint32_t i = 0; i < block.sums.size(); ++i) {
    const uint32_t piece = block.sums[i].producer_piece;
    target[piece] = EdgeSends::kToSum | i;
    sends.sum_arrivals.push_back(std::exchange(sends.backward_arrivals[piece], 1));
  }
  sends.backward.reset(by_consumer);
  for (const PiecePair& pair : block.pairs) {
    Send send{{}, target[pair.producer_piece], {}};
    if (!pair.local) {
      const FifoTransfer transfer =
          transfers.find(consumer.devices[pair.consumer_piece],
                         producer.devices[pair.producer_piece], pair.bytes, MeetingEnd::kReceiver);
      send.link = transfer.link;
      send.duration = transfer.duration;
    }
    sends.backward.add(pair.consumer_piece, send);
  }
  return sends;
}

SyncSends make_sync_sends(const SyncBlock& block, std::span<const OpId> users, const Plan& plan,
                          const Cluster& cluster, TransferTable& transfers) {
  SyncSends sends;
  uint32_t rows = 0;
  for (const OpId user : users) {
    sends.user_rows.push_back(rows);
    rows += static_cast<uint32_t>(plan.ops[user].task_count());
  }
  const auto row_of = [&](const BackwardTask& contributor) {
    const auto user = std::lower_bound(users.begin(), users.end(), contributor.op);
    return sends.user_rows[static_cast<size_t>(user - users.begin())] + contributor.piece;
  };
  std::vector<uint32_t> by_task(block.tasks.size(), 0);
  std::vector<uint32_t> by_piece(rows, 0);
  for (const uint32_t earlier : block.after) ++by_task[earlier];
  for (const BackwardTask& contributor : block.contributors) ++by_piece[row_of(contributor)];
  sends.successors.reset(by_task);
  sends.contributors.reset(by_piece);
  sends.tasks.reserve(block.tasks.size());
  for (uint32_t i = 0; i < block.tasks.size(); ++i) {
    const SyncTask& task = block.tasks[i];
    const auto after = block.after_of(task);
    const auto contributors = block.contributors_of(task);
    SyncSends::Task slot{barrier_resource(cluster), 0, task.duration};
    if (task.kind == TaskKind::kSyncTransfer) {
      const FifoTransfer transfer = transfers.find(task.from, task.to, task.bytes, task.end);
      slot.resource = transfer.link;
      slot.duration = transfer.duration;
    } else if (task.kind == TaskKind::kUpdate) {
      slot.resource = compute_resource(task.from);
    }
    slot.arrivals = static_cast<uint32_t>(after.size() + contributors.size()) +
                    (task.after_all_backward ? 1 : 0);
    if (task.after_all_backward) sends.after_backward.push_back(i);
    for (const uint32_t earlier : after) sends.successors.add(earlier, {{}, i, {}});
    for (const BackwardTask& contributor : contributors) {
      sends.contributors.add(row_of(contributor), {{}, i, {}});
    }
    sends.tasks.push_back(slot);
  }
  return sends;
}

PlanSends make_plan_sends(const OpGraph& graph, const Plan& plan, const PlanBlocks& blocks,
                          const Cluster& cluster, TransferTable& transfers) {
  PlanSends sends;
  for (const EdgeId id : graph.edges().ids()) {
    const auto& [producer, consumer, input] = graph.edge(id);
    const bool backward =
        !blocks.ops[producer].backward.empty() && !blocks.ops[consumer].backward.empty();
    sends.edges.push_back(make_edge_sends(blocks.edges[id], plan.ops[producer], plan.ops[consumer],
                                          backward, transfers));
  }
  for (const WeightId weight : graph.weights().ids()) {
    sends.weights.push_back(
        make_sync_sends(blocks.weights[weight], graph.users(weight), plan, cluster, transfers));
  }
  return sends;
}

}  // namespace soapbox
