#include "sim/simulate/transfer.h"

namespace soapbox {

FifoTransfer fifo_transfer(const Cluster& cluster, DeviceId from, DeviceId to, Bytes bytes,
                           MeetingEnd end) {
  const Route route = cluster.route(from, to);
  LinkId link = route.bottleneck;  // the first of the slowest
  if (end == MeetingEnd::kReceiver) {
    for (const LinkId other : route.links) {
      if (cluster.links()[other].bandwidth == route.bandwidth) link = other;
    }
  }
  return {link_resource(cluster, link), bytes / route.bandwidth};
}

}  // namespace soapbox
