// The paths that data takes between the devices of a topology.
//
// Rule. Among the paths from one device to another, the one with the fewest devices passed through,
// then the fewest hosts, then the fewest hops, then the widest bottleneck; remaining ties go to the
// smallest vertex and link ids, so the choice never depends on iteration order. So devices relay
// for others only where nothing else joins them, and data avoids a host's memory where a switch
// leads there. Nodes do not forward for other nodes, and traffic inside a node stays there: a route
// between nodes is one piece inside the source's node, one through the fabric (the vertices of no
// node) and one inside the destination's node. Where that cannot be (some pair of devices has no
// such path, or links join nodes without a switch, as in a torus), the rule applies to the whole
// graph.
//
// Storage. A path is not stored per pair of devices but as those three pieces: within a node for
// its pairs of devices and its exits, and once for all nodes that are copies of each other; through
// the fabric for its pairs of ports. With D devices per node, N nodes of T different builds and P
// ports that is O(T D^2 + N D + P^2) instead of O(N^2 D^2): 16,384 devices take megabytes, and a
// look-up takes tens of nanoseconds. Immutable after make(), so it may be shared between threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "sim/base/result.h"
#include "sim/cluster/topology.h"

namespace soapbox {

// The links of a path in travel order: a range of LinkId, valid as long as the Cluster it came
// from.
class RouteLinks {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = LinkId;
    using difference_type = std::ptrdiff_t;
    using pointer = const LinkId*;
    using reference = LinkId;

    Iterator() = default;
    Iterator(const RouteLinks* links, size_t index) : links_(links), index_(index) {}
    LinkId operator*() const { return (*links_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++index_;
      return before;
    }
    friend bool operator==(Iterator a, Iterator b) { return a.index_ == b.index_; }

   private:
    const RouteLinks* links_ = nullptr;
    size_t index_ = 0;
  };

  size_t size() const {
    return pieces_[0].relative.size() + pieces_[1].relative.size() + pieces_[2].relative.size();
  }
  bool empty() const { return size() == 0; }
  // REQUIRES: index < size().
  LinkId operator[](size_t index) const {
    for (const Piece& piece : pieces_) {
      if (index < piece.relative.size()) return LinkId(piece.relative[index] + piece.first_link);
      index -= piece.relative.size();
    }
    SOAPBOX_CHECK(false, "link index out of range");
    return LinkId();
  }
  LinkId front() const { return (*this)[0]; }
  LinkId back() const { return (*this)[size() - 1]; }
  Iterator begin() const { return Iterator(this, 0); }
  Iterator end() const { return Iterator(this, size()); }

 private:
  friend class Routes;
  struct Piece {
    std::span<const uint32_t> relative;  // link ids less first_link
    uint32_t first_link = 0;
  };
  std::array<Piece, 3> pieces_;
};

// The links of a path, with the two figures the simple network model needs.
struct Route {
  RouteLinks links;
  LinkId bottleneck;         // the slowest link, the first of equals; invalid if `links` is empty
  BytesPerSecond bandwidth;  // of the bottleneck
  Duration latency;          // summed over the links
};

class Routes {
 public:
  // REQUIRES: every id in the topology is in range, bandwidths are positive.
  // Fails with the names of two devices that no path joins.
  static Result<Routes> make(const Topology& topology);
  // The path from one device to another; empty for a device and itself.
  Route find(DeviceId from, DeviceId to) const;

 private:
  friend class RouteBuilder;
  // A piece of a path. Costs order pieces as the rule says: see relay_cost() in routes.cc.
  struct Segment {
    uint64_t cost = 0;
    double width = 0;  // bytes per second of the narrowest link
    Duration latency;
    uint32_t begin = 0;  // its links are relative_links_[begin, begin + count)
    uint32_t count = 0;
    uint32_t bottleneck = 0;  // relative, like its links
    bool reachable = false;
  };
  // Where a device is: its node, and which of the node's devices it is.
  struct Place {
    uint32_t region = 0;
    uint32_t local = 0;
  };
  // A node: the pieces inside it are those of its build, moved by first_link.
  struct Region {
    uint32_t first_link = 0;
    uint32_t device_count = 0;
    size_t first_segment = 0;  // device_count^2 segments between its devices
  };
  // One way of leaving a device's node (or of entering it).
  struct Door {
    uint32_t port = 0;
    size_t segment = 0;
  };
  struct DoorRange {
    size_t begin = 0;
    size_t end = 0;
  };

  RouteLinks::Piece piece_of(const Segment& segment, uint32_t first_link) const {
    return {{relative_links_.data() + segment.begin, segment.count}, first_link};
  }

  std::vector<uint32_t> relative_links_;
  std::vector<Segment> segments_;
  std::vector<Region> regions_;
  IdVector<DeviceId, Place> places_;
  std::vector<Door> doors_;
  IdVector<DeviceId, DoorRange> exits_;
  IdVector<DeviceId, DoorRange> entries_;
  size_t port_count_ = 0;
  std::vector<Segment> through_fabric_;  // port_count_^2
};

}  // namespace soapbox
