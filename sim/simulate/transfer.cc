#include "sim/simulate/transfer.h"

namespace soapbox {
namespace {

bool is_copied_by_sender(const Cluster& cluster, const Route& route) {
  return cluster.links()[route.bottleneck].copied_by_sender;
}

}  // namespace

FifoTransfer fifo_transfer(const Cluster& cluster, DeviceId from, DeviceId to, Bytes bytes,
                           MeetingEnd end) {
  const Route route = cluster.route(from, to);
  if (is_copied_by_sender(cluster, route)) {
    return {compute_resource(from), route.latency + bytes / route.bandwidth};
  }
  LinkId link = route.bottleneck;  // the first of the slowest
  if (end == MeetingEnd::kReceiver) {
    for (const LinkId other : route.links) {
      if (cluster.links()[other].bandwidth == route.bandwidth) link = other;
    }
  }
  return {link_resource(cluster, link), bytes / route.bandwidth};
}

// A table for more devices would not stay in a cache, and cost gigabytes.
constexpr size_t kMostTabledDevices = 2048;

const TransferTable::Path& TransferTable::path(DeviceId from, DeviceId to) {
  if (paths_.empty()) paths_.resize(cluster_->device_count());
  std::vector<Path>& row = paths_[from];
  if (row.empty()) row.resize(cluster_->device_count());
  Path& path = row[to.index()];
  if (path.meeting_link[0].valid()) return path;
  for (const MeetingEnd end : {MeetingEnd::kSender, MeetingEnd::kReceiver}) {
    path.meeting_link[static_cast<size_t>(end)] =
        fifo_transfer(*cluster_, from, to, Bytes(), end).link;
  }
  const Route route = cluster_->route(from, to);
  path.bandwidth = route.bandwidth;
  if (is_copied_by_sender(*cluster_, route)) path.latency = route.latency;
  return path;
}

FifoTransfer TransferTable::find(DeviceId from, DeviceId to, Bytes bytes, MeetingEnd end) {
  if (cluster_->device_count() > kMostTabledDevices) {
    return fifo_transfer(*cluster_, from, to, bytes, end);
  }
  const Path& known = path(from, to);
  if (bytes != last_bytes_ || known.bandwidth != last_bandwidth_) {
    last_bytes_ = bytes;
    last_bandwidth_ = known.bandwidth;
    last_duration_ = bytes / known.bandwidth;
  }
  return {known.meeting_link[static_cast<size_t>(end)], known.latency + last_duration_};
}

}  // namespace soapbox
