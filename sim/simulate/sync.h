// The tasks that synchronise and update one weight, for each SyncMode of plan.h.
//
//   kOverlapped       ring all-reduce of W bytes over n replicas in device order: every link of the
//                     ring carries 2 (n - 1) / n W (reduce-scatter, then all-gather), 2 (n - 1) W
//                     in all Under NetworkModel::kSteps each of its 2 n (n - 1) messages of W / n
//                     is a transfer: message i -> i + 1 of a step follows i - 1 -> i of the step
//                     before.
//   kBulk             the same rings after all backward work
//   kParameterServer  after all backward work n - 1 pushes and n - 1 pulls of W each. The server's
//                     own replica pushes and pulls inside its device: counted as data moved (2 n W
//                     in all), not as a transfer. Servers are spread over the replicas.
//   kSerial           no tasks: W (g - 1) / intra-node rate + W (nodes - 1) / inter-node rate after
//                     the makespan, with g the most replicas inside one node
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cost/cost.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"
#include "sim/simulate/network_model.h"
#include "sim/simulate/task_label.h"
#include "sim/simulate/transfer.h"
#include "sim/simulate/weight_slices.h"

namespace soapbox {

struct SyncTask {
  TaskKind kind = TaskKind::kUpdate;  // kSyncTransfer, kBarrier or kUpdate
  DeviceId from;
  DeviceId to;
  Bytes bytes;  // of a transfer
  MeetingEnd end = MeetingEnd::kSender;
  Duration duration;  // of an update
  bool after_all_backward = false;
  uint32_t after_begin = 0;  // rows of SyncBlock::after and ::contributors
  uint32_t after_end = 0;
  uint32_t contributors_begin = 0;
  uint32_t contributors_end = 0;

  // A replica's gradient, to its parameter server.
  bool is_push() const { return kind == TaskKind::kSyncTransfer && end == MeetingEnd::kReceiver; }
};

// A slice of the weight that a device holds.
struct HeldSlice {
  DeviceId device;
  Bytes parameters;
  Bytes gradients;
};

// Tasks in structural order; a task waits for earlier tasks of the block and for backward tasks.
struct SyncBlock {
  std::vector<SyncTask> tasks;
  std::vector<uint32_t> after;
  std::vector<BackwardTask> contributors;
  std::vector<HeldSlice> held;
  Duration serial;      // SyncMode::kSerial
  Bytes communication;  // as Report::communication counts it
  Bytes network;

  std::span<const uint32_t> after_of(const SyncTask& task) const {
    return {after.data() + task.after_begin, after.data() + task.after_end};
  }
  std::span<const BackwardTask> contributors_of(const SyncTask& task) const {
    return {contributors.data() + task.contributors_begin,
            contributors.data() + task.contributors_end};
  }
};

// Whether the exchange of gradients waits for all backward work of the iteration.
inline bool has_backward_barrier(SyncMode mode) {
  return mode == SyncMode::kBulk || mode == SyncMode::kParameterServer;
}

SyncBlock make_sync_block(const OpGraph& graph, WeightId weight, const Plan& plan,
                          const Cluster& cluster, const Costs& costs, NetworkModel network);

}  // namespace soapbox
