// A fat tree of 8-GPU nodes for tests and benchmarks: every host has a port to its leaf switch (one
// leaf for each 8 hosts), every leaf a port to each of 8 spines; all links alike, duplex, no
// oversubscription. A route goes over the spine (destination mod 8), so unlucky destinations share
// links.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/flow_engine.h"

namespace soapbox {

struct FatTree {
  static constexpr uint32_t kRadix = 8;

  uint32_t hosts = 0;  // a multiple of 8

  uint32_t leaf_ports() const { return hosts; }  // 8 for each of hosts / 8 leaves
  // Links, in this order: host to leaf, leaf to host, leaf to spine, spine to leaf.
  uint32_t link_count() const { return 2 * hosts + 2 * leaf_ports(); }
  // REQUIRES: from != to.
  std::vector<ResourceId> route(uint32_t from, uint32_t to) const {
    const uint32_t from_leaf = from / kRadix;
    const uint32_t to_leaf = to / kRadix;
    std::vector<ResourceId> links{ResourceId(from)};
    if (from_leaf != to_leaf) {
      const uint32_t spine = to % kRadix;
      links.emplace_back(2 * hosts + from_leaf * kRadix + spine);
      links.emplace_back(2 * hosts + leaf_ports() + to_leaf * kRadix + spine);
    }
    links.emplace_back(hosts + to);
    return links;
  }
  Network network(BytesPerSecond bandwidth) const {
    return Network(link_count(), SharedResource{bandwidth});
  }
};

}  // namespace soapbox
