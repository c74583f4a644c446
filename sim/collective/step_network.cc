#include "sim/collective/step_network.h"

#include <algorithm>

namespace soapbox {

namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr uint32_t kSeveral = UINT32_MAX - 1;

void meet(uint32_t& neighbour, uint32_t other) {
  if (neighbour == kNone) neighbour = other;
  if (neighbour != other) neighbour = kSeveral;
}

struct RawPaths {
  std::vector<uint32_t> rows{0};
  std::vector<uint32_t> links;  // of the cluster
  std::span<const uint32_t> of(size_t path) const {
    return {links.data() + rows[path], rows[path + 1] - rows[path]};
  }
};

// For each link the head of the run that it belongs to: see "Reduction".
std::vector<uint32_t> run_heads(const RawPaths& paths, size_t link_count) {
  // The link after (before) it in all paths; the end of a path counts as a different one each time.
  std::vector<uint32_t> after(link_count, kNone);
  std::vector<uint32_t> before(link_count, kNone);
  for (size_t path = 0; path + 1 < paths.rows.size(); ++path) {
    const std::span<const uint32_t> links = paths.of(path);
    for (size_t i = 0; i < links.size(); ++i) {
      meet(after[links[i]], i + 1 < links.size() ? links[i + 1] : kSeveral);
      meet(before[links[i]], i > 0 ? links[i - 1] : kSeveral);
    }
  }
  std::vector<uint32_t> heads(link_count, kNone);
  for (size_t path = 0; path + 1 < paths.rows.size(); ++path) {
    uint32_t head = kNone;
    for (const uint32_t link : paths.of(path)) {
      const bool follows = head != kNone && before[link] < kSeveral && after[before[link]] == link;
      if (!follows) head = link;
      heads[link] = head;
    }
  }
  return heads;
}

}  // namespace

StepNetwork::StepNetwork(const Cluster& cluster, std::span<const DeviceId> devices,
                         std::span<const RankPair> pairs) {
  RawPaths raw;
  for (const RankPair& pair : pairs) {
    const Route route = cluster.route(devices[pair.from], devices[pair.to]);
    for (const LinkId link : route.links) raw.links.push_back(link.value());
    raw.rows.push_back(static_cast<uint32_t>(raw.links.size()));
    latencies_.push_back(route.latency);
  }
  const std::vector<uint32_t> heads = run_heads(raw, cluster.links().size());
  std::vector<uint32_t> new_ids(cluster.links().size(), kNone);
  for (size_t path = 0; path < pairs.size(); ++path) {
    const size_t first = path_links_.size();
    for (const uint32_t link : raw.of(path)) {
      const BytesPerSecond bandwidth = cluster.links()[LinkId(link)].bandwidth;
      uint32_t& id = new_ids[heads[link]];
      if (id == kNone) {
        id = static_cast<uint32_t>(links_.size());
        links_.push_back({bandwidth, 0});
      }
      links_[id].bandwidth = std::min(links_[id].bandwidth, bandwidth);
      if (path_links_.size() > first && path_links_.back() == id) continue;
      path_links_.push_back(id);
      ++links_[id].path_count;
    }
    rows_.push_back(static_cast<uint32_t>(path_links_.size()));
  }
}

bool StepNetwork::paths_are_disjoint() const {
  return std::all_of(links_.begin(), links_.end(),
                     [](const StepLink& link) { return link.path_count <= 1; });
}

StepNetwork StepNetwork::identified(std::span<const uint32_t> representatives) const {
  StepNetwork network = *this;
  for (uint32_t& link : network.path_links_) link = representatives[link];
  return network;
}

}  // namespace soapbox
