// The links that a collective's messages cross, reduced to those that can delay them.
//
// Rule of `steps`. A message of S bytes that became ready at time t claims the links l1 .. lk of
// its route, in travel order. Messages claim in the order of (ready, chunk, id); links are first
// in, first out:
//     begin(1) = max(t, free(1)),   begin(i) = max(begin(i-1), free(i)),
//     free(i) := begin(i) + S / bandwidth(i),
//     delivered = max over i of (begin(i) + S / bandwidth(i)) + sum of the links' latencies.
// So data is cut through, not stored at every hop: alone, a message takes its route's latency plus
// S / bandwidth of its bottleneck. A link is busy for S / bandwidth per message and never carries
// more than it can. Latency is time in flight: it occupies nothing, so messages follow each other
// at the rate of the link.
//
// Reduction. Let links a and b follow each other in every route that has either. Their messages are
// the same and claim them in one order, so by induction over these messages the wider one never
// delays: if a is wider, free(a) <= free(b) at every claim, so begin(b) = max(t, free(b)) with or
// without a; if b is wider, begin(b) = begin(a) for the same reason. S / bandwidth is largest at
// the narrower. Hence such runs of links are kept as their narrowest. In a ring every route becomes
// one link.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/units.h"
#include "sim/cluster/cluster.h"
#include "sim/collective/schedule.h"

namespace soapbox {

struct StepLink {
  BytesPerSecond bandwidth;
  uint32_t path_count = 0;  // that use it
};

class StepNetwork {
 public:
  // One path for each pair, in their order. Rank r is on devices[r]; different ranks of one device
  // exchange data in no time.
  StepNetwork(const Cluster& cluster, std::span<const DeviceId> devices,
              std::span<const RankPair> pairs);

  const std::vector<StepLink>& links() const { return links_; }
  size_t path_count() const { return latencies_.size(); }
  std::span<const uint32_t> path_links(size_t path) const {
    return {path_links_.data() + rows_[path], rows_[path + 1] - rows_[path]};
  }
  Duration path_latency(size_t path) const { return latencies_[path]; }
  // No link is on two paths: then each path has at most one link.
  bool paths_are_disjoint() const;
  // The same paths over representatives[link] in place of each link.
  StepNetwork identified(std::span<const uint32_t> representatives) const;

 private:
  std::vector<StepLink> links_;
  std::vector<uint32_t> rows_{0};
  std::vector<uint32_t> path_links_;
  std::vector<Duration> latencies_;
};

}  // namespace soapbox
