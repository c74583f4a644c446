// How a transfer occupies the network under the `fifo` model: one link, for bytes / its bandwidth.
//
// FlexFlow's simulator (SysML 2019, section 5.1; assumption A2) gives every connection its own
// queue and charges s / b. Here a connection is a real link, and a transfer queues at the slowest
// link of its route, so that devices behind one NIC share it. Often several links are equally slow:
// the sender's and the receiver's NIC, say. Then it is the end where the transfers of one tensor
// meet: one sender serves many receivers at its own first link, many senders reach one receiver at
// its last.
//
// Where the sender makes the copy itself (Link::copied_by_sender), it is one of the sender's tasks:
// it queues at the sender, for the latency, which is then the core's time, and s / b.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/units.h"
#include "sim/cluster/cluster.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

enum class MeetingEnd : uint8_t { kSender, kReceiver };

struct FifoTransfer {
  ResourceId link;  // or the sender's, see above
  Duration duration;
};

// REQUIRES: from != to.
FifoTransfer fifo_transfer(const Cluster& cluster, DeviceId from, DeviceId to, Bytes bytes,
                           MeetingEnd end);

// fifo_transfer() for many transfers: looks up the route between two devices once.
class TransferTable {
 public:
  explicit TransferTable(const Cluster& cluster) : cluster_(&cluster) {}
  FifoTransfer find(DeviceId from, DeviceId to, Bytes bytes, MeetingEnd end);

 private:
  struct Path {
    ResourceId meeting_link[2];  // by MeetingEnd; invalid where not looked up yet
    BytesPerSecond bandwidth;
    Duration latency;  // that counts
  };
  const Path& path(DeviceId from, DeviceId to);

  const Cluster* cluster_;
  IdVector<DeviceId, std::vector<Path>> paths_;  // rows of the devices that sent so far
  Bytes last_bytes_;
  BytesPerSecond last_bandwidth_;
  Duration last_duration_;  // transfers come in runs of equal ones
};

// Resources are numbered: the devices, then the links, then one that carries only barriers.
inline ResourceId compute_resource(DeviceId device) {
  return ResourceId(device.value());
}
inline ResourceId link_resource(const Cluster& cluster, LinkId link) {
  return ResourceId::from_index(cluster.device_count() + link.index());
}
inline ResourceId barrier_resource(const Cluster& cluster) {
  return ResourceId::from_index(cluster.device_count() + cluster.links().size());
}
inline size_t resource_count(const Cluster& cluster) {
  return barrier_resource(cluster).index() + 1;
}

}  // namespace soapbox
