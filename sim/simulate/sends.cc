#include "sim/simulate/sends.h"

#include <algorithm>
#include <utility>

namespace soapbox {

namespace {

// Whether each of `arrivals` comes from every one of the senders; then they are made one.
bool merge_if_from_all(std::vector<uint32_t>& arrivals, size_t senders) {
  const auto from_all = [senders](uint32_t count) { return count == senders; };
  if (senders == 0 || !std::ranges::all_of(arrivals, from_all)) return false;
  std::ranges::fill(arrivals, 1);
  return true;
}

// What piece `from` of one operator sends to piece `to` of another, which receives it as `target`.
Send make_send(const PiecePair& pair, DeviceId from, DeviceId to, MeetingEnd end, uint32_t target,
               TransferTable& transfers) {
  if (pair.local) return {{}, target, {}};
  const FifoTransfer transfer = transfers.find(from, to, pair.bytes, end);
  return {transfer.link, target, transfer.duration};
}

}  // namespace

// Joins the sends of rows_ into runs.
SendRows EdgeSender::to_runs(size_t senders) {
  SendRows result;
  if (rows_.empty()) return result;
  runs_.start(senders);
  for (uint32_t sender = 0; sender < senders; ++sender) {
    SendRun run;
    for (const Send& send : rows_.of(sender)) {
      result.uses_links |= send.link.valid();
      if (run.count > 0 && send.to == run.to + run.count && send.link == run.link &&
          send.duration == run.duration) {
        ++run.count;
        continue;
      }
      if (run.count > 0) runs_.append(run);
      run = {send.link, send.to, 1, send.duration};
    }
    if (run.count > 0) runs_.append(run);
    runs_.end_sender();
  }
  result.runs = runs_;
  return result;
}

void EdgeSender::make_forward(const EdgeBlock& block, const OpConfig& producer,
                              const OpConfig& consumer, TransferTable& transfers) {
  rows_.reset(by_producer_);
  for (const PiecePair& pair : block.pairs) {
    rows_.add(pair.producer_piece, make_send(pair, producer.devices[pair.producer_piece],
                                             consumer.devices[pair.consumer_piece],
                                             MeetingEnd::kSender, pair.consumer_piece, transfers));
  }
}

// Fills rows_, and the arrivals of `sends`.
void EdgeSender::make_backward(const EdgeBlock& block, const OpConfig& producer,
                               const OpConfig& consumer, TransferTable& transfers,
                               EdgeSends& sends) {
  target_.resize(producer.task_count());
  for (uint32_t piece = 0; piece < target_.size(); ++piece) target_[piece] = piece;
  sends.backward_arrivals = by_producer_;
  for (uint32_t i = 0; i < block.sums.size(); ++i) {
    const uint32_t piece = block.sums[i].producer_piece;
    target_[piece] = EdgeSends::kToSum | i;
    sends.sum_arrivals.push_back(std::exchange(sends.backward_arrivals[piece], 1));
  }
  rows_.reset(by_consumer_);
  for (const PiecePair& pair : block.pairs) {
    rows_.add(pair.consumer_piece,
              make_send(pair, consumer.devices[pair.consumer_piece],
                        producer.devices[pair.producer_piece], MeetingEnd::kReceiver,
                        target_[pair.producer_piece], transfers));
  }
}

EdgeSends EdgeSender::make(const EdgeBlock& block, const OpConfig& producer,
                           const OpConfig& consumer, bool backward, TransferTable& transfers) {
  EdgeSends sends;
  by_producer_.assign(producer.task_count(), 0);
  by_consumer_.assign(consumer.task_count(), 0);
  for (const PiecePair& pair : block.pairs) {
    ++by_producer_[pair.producer_piece];
    ++by_consumer_[pair.consumer_piece];
  }
  make_forward(block, producer, consumer, transfers);
  sends.forward = to_runs(producer.task_count());
  sends.forward_arrivals = by_consumer_;
  sends.forward.is_all_to_all = merge_if_from_all(sends.forward_arrivals, producer.task_count());
  if (!backward) return sends;
  make_backward(block, producer, consumer, transfers, sends);
  sends.backward = to_runs(consumer.task_count());
  // Receivers are either all pieces or all sums.
  if (block.sums.empty()) {
    sends.backward.is_all_to_all =
        merge_if_from_all(sends.backward_arrivals, consumer.task_count());
  } else if (block.sums.size() == producer.task_count()) {
    sends.backward.is_all_to_all = merge_if_from_all(sends.sum_arrivals, consumer.task_count());
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
    for (const uint32_t earlier : after) sends.successors.add(earlier, i);
    for (const BackwardTask& contributor : contributors) {
      sends.contributors.add(row_of(contributor), i);
    }
    sends.tasks.push_back(slot);
  }
  return sends;
}

PlanSends make_plan_sends(const OpGraph& graph, const Plan& plan, const PlanBlocks& blocks,
                          const Cluster& cluster, TransferTable& transfers) {
  PlanSends sends;
  EdgeSender sender;
  for (const EdgeId id : graph.edges().ids()) {
    const auto& [producer, consumer, input] = graph.edge(id);
    const bool backward =
        !blocks.ops[producer].backward.empty() && !blocks.ops[consumer].backward.empty();
    sends.edges.push_back(std::make_shared<const EdgeSends>(sender.make(
        blocks.edges[id], plan.ops[producer], plan.ops[consumer], backward, transfers)));
  }
  for (const WeightId weight : graph.weights().ids()) {
    sends.weights.push_back(
        make_sync_sends(blocks.weights[weight], graph.users(weight), plan, cluster, transfers));
  }
  return sends;
}

}  // namespace soapbox
