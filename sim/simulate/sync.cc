#include "sim/simulate/sync.h"

#include <algorithm>
#include <utility>

#include "sim/simulate/blocks.h"

namespace soapbox {

namespace {

class SyncBuilder {
 public:
  SyncBuilder(WeightId weight, SyncMode mode, NetworkModel network, const Cluster& cluster,
              const Costs& costs)
      : weight_(weight), mode_(mode), network_(network), cluster_(cluster), costs_(costs) {}

  void add_slice(const WeightSlice& slice, size_t index) {
    for (const WeightReplica& replica : slice.replicas) {
      block_.held.push_back({replica.device, slice.parameters, slice.bytes});
    }
    const auto n = static_cast<int64_t>(slice.replicas.size());
    if (n == 1 || mode_ == SyncMode::kSerial) {
      add_local_updates(slice);
      if (n > 1) add_serial(slice);
    } else if (mode_ == SyncMode::kParameterServer) {
      add_server(slice, (weight_.index() + index) % slice.replicas.size());
    } else {
      add_ring(slice);
    }
  }
  SyncBlock take() { return std::move(block_); }

 private:
  // Starts a task; what it waits for is added next, by wait_for().
  uint32_t begin(TaskKind kind, DeviceId from, DeviceId to = {}, Bytes bytes = {},
                 MeetingEnd end = MeetingEnd::kSender) {
    SyncTask task;
    task.kind = kind;
    task.from = from;
    task.to = to;
    task.bytes = bytes;
    task.end = end;
    task.after_begin = task.after_end = static_cast<uint32_t>(block_.after.size());
    task.contributors_begin = task.contributors_end =
        static_cast<uint32_t>(block_.contributors.size());
    if (kind == TaskKind::kSyncTransfer) {
      block_.communication += bytes;
      block_.network += bytes;
    }
    block_.tasks.push_back(task);
    return static_cast<uint32_t>(block_.tasks.size() - 1);
  }
  void wait_for(uint32_t earlier) {
    block_.after.push_back(earlier);
    ++block_.tasks.back().after_end;
  }
  void wait_for(const WeightReplica& replica) {
    for (const BackwardTask& task : replica.contributors) {
      block_.contributors.push_back(task);
      ++block_.tasks.back().contributors_end;
    }
  }
  Duration update_time(Bytes bytes, DeviceId device) const {
    const Device& on = cluster_.device(device);
    return slowed(costs_.update(bytes, on.hardware), on);
  }

  void add_local_updates(const WeightSlice& slice);
  void add_ring(const WeightSlice& slice);
  void add_ring_messages(const WeightSlice& slice, uint32_t ready);
  void add_server(const WeightSlice& slice, size_t server);
  void add_serial(const WeightSlice& slice);

  WeightId weight_;
  SyncMode mode_;
  NetworkModel network_;
  const Cluster& cluster_;
  const Costs& costs_;
  SyncBlock block_;
};

void SyncBuilder::add_local_updates(const WeightSlice& slice) {
  for (const WeightReplica& replica : slice.replicas) {
    begin(TaskKind::kUpdate, replica.device);
    block_.tasks.back().duration = update_time(slice.bytes, replica.device);
    wait_for(replica);
  }
}

void SyncBuilder::add_ring(const WeightSlice& slice) {
  const auto n = static_cast<int64_t>(slice.replicas.size());
  const uint32_t ready = begin(TaskKind::kBarrier, {});
  block_.tasks.back().after_all_backward = mode_ == SyncMode::kBulk;
  for (const WeightReplica& replica : slice.replicas) wait_for(replica);
  const auto first = static_cast<uint32_t>(block_.tasks.size());
  if (network_ == NetworkModel::kSteps) {
    add_ring_messages(slice, ready);
  } else {
    const Bytes share((2 * (n - 1) * slice.bytes.count() + n - 1) / n);
    for (size_t i = 0; i < slice.replicas.size(); ++i) {
      const DeviceId next = slice.replicas[(i + 1) % slice.replicas.size()].device;
      begin(TaskKind::kSyncTransfer, slice.replicas[i].device, next, share);
      wait_for(ready);
    }
  }
  const uint32_t reduced = begin(TaskKind::kBarrier, {});
  for (uint32_t i = first; i < reduced; ++i) wait_for(i);
  for (const WeightReplica& replica : slice.replicas) {
    begin(TaskKind::kUpdate, replica.device);
    block_.tasks.back().duration = update_time(slice.bytes, replica.device);
    wait_for(reduced);
  }
}

// A step is one message from every replica to the next; what it passes on, it received a step
// before.
void SyncBuilder::add_ring_messages(const WeightSlice& slice, uint32_t ready) {
  const auto n = static_cast<uint32_t>(slice.replicas.size());
  const Bytes part((slice.bytes.count() + n - 1) / n);
  const auto first = static_cast<uint32_t>(block_.tasks.size());
  for (uint32_t step = 0; step < 2 * (n - 1); ++step) {
    for (uint32_t i = 0; i < n; ++i) {
      const DeviceId next = slice.replicas[(i + 1) % n].device;
      begin(TaskKind::kSyncTransfer, slice.replicas[i].device, next, part);
      wait_for(step == 0 ? ready : first + (step - 1) * n + (i + n - 1) % n);
    }
  }
}

void SyncBuilder::add_server(const WeightSlice& slice, size_t server) {
  const DeviceId home = slice.replicas[server].device;
  const auto first = static_cast<uint32_t>(block_.tasks.size());
  for (size_t i = 0; i < slice.replicas.size(); ++i) {
    if (i == server) continue;
    begin(TaskKind::kSyncTransfer, slice.replicas[i].device, home, slice.bytes,
          MeetingEnd::kReceiver);
    block_.tasks.back().after_all_backward = true;
    wait_for(slice.replicas[i]);
  }
  const uint32_t update = begin(TaskKind::kUpdate, home);
  block_.tasks.back().duration =
      slowed(costs_.sum(slice.bytes, slice.replicas.size(), cluster_.device(home).hardware),
             cluster_.device(home)) +
      update_time(slice.bytes, home);
  for (uint32_t i = first; i < update; ++i) wait_for(i);
  wait_for(slice.replicas[server]);
  for (size_t i = 0; i < slice.replicas.size(); ++i) {
    if (i == server) continue;
    begin(TaskKind::kSyncTransfer, home, slice.replicas[i].device, slice.bytes);
    wait_for(update);
  }
  block_.communication += slice.bytes * 2;
}

void SyncBuilder::add_serial(const WeightSlice& slice) {
  std::vector<std::pair<NodeId, int64_t>> nodes;  // replicas are sorted by device, so by node
  for (const WeightReplica& replica : slice.replicas) {
    const NodeId node = cluster_.device(replica.device).node;
    if (nodes.empty() || nodes.back().first != node) nodes.emplace_back(node, 0);
    ++nodes.back().second;
  }
  int64_t most = 0;
  for (const auto& [node, count] : nodes) most = std::max(most, count);
  BytesPerSecond intra;  // the slowest route between neighbours of each class
  BytesPerSecond inter;
  for (size_t i = 1; i < slice.replicas.size(); ++i) {
    const DeviceId a = slice.replicas[i - 1].device;
    const DeviceId b = slice.replicas[i].device;
    BytesPerSecond& slowest = cluster_.device(a).node == cluster_.device(b).node ? intra : inter;
    const BytesPerSecond rate = cluster_.route(a, b).bandwidth;
    if (slowest.rate() == 0 || rate < slowest) slowest = rate;
  }
  const auto hops = static_cast<int64_t>(nodes.size()) - 1;
  if (most > 1) block_.serial += slice.bytes * (most - 1) / intra;
  if (hops > 0) block_.serial += slice.bytes * hops / inter;
  const auto n = static_cast<int64_t>(slice.replicas.size());
  block_.communication += slice.bytes * (2 * n);
  block_.network += slice.bytes * (2 * (n - 1));
}

}  // namespace

SyncBlock make_sync_block(const OpGraph& graph, WeightId weight, const Plan& plan,
                          const Cluster& cluster, const Costs& costs, NetworkModel network) {
  SyncBuilder builder(weight, plan.sync, network, cluster, costs);
  const std::vector<WeightSlice> slices = weight_slices(graph, weight, plan);
  for (size_t i = 0; i < slices.size(); ++i) builder.add_slice(slices[i], i);
  return builder.take();
}

}  // namespace soapbox
