// Best paths from one vertex of a small graph: Dijkstra (Boost.Graph) on (cost, widest bottleneck).
//
// A path costs one per link plus relay[v] for every vertex v it passes through. Two paths of equal
// cost differ by their narrowest link. Both orders survive adding a link to the end of a path, so
// Dijkstra's greedy choice is right for the pair. O((V + E) log V) for each source.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "sim/base/units.h"

namespace soapbox {

struct SearchLink {
  uint32_t from = 0;
  uint32_t to = 0;
  uint32_t id = 0;  // the caller's; among equal parallel links the smallest is taken
  double width = 0;
  Duration latency;
};

class PathSearch {
 public:
  // Every vertex of a link is below relay.size().
  PathSearch(std::vector<uint64_t> relay, std::vector<SearchLink> links);
  ~PathSearch();
  PathSearch(PathSearch&&) noexcept;
  PathSearch& operator=(PathSearch&&) noexcept;

  // Finds the best paths from `source`; of equally good ones, those whose last vertex passed is the
  // smallest.
  void run(uint32_t source);
  bool reaches(uint32_t vertex) const { return labels_[vertex].cost < kUnreached; }
  // Includes neither end. REQUIRES: reaches(vertex).
  uint64_t cost(uint32_t vertex) const {
    return vertex == source_ ? 0 : labels_[vertex].cost - relay_[source_];
  }
  // Appends the links from the source to the vertex, in travel order. REQUIRES: reaches(vertex).
  void append_path(uint32_t vertex, std::vector<SearchLink>& path) const;

 private:
  static constexpr uint64_t kUnreached = std::numeric_limits<uint64_t>::max();
  struct Label {
    uint64_t cost = kUnreached;  // the source's relay cost included, except at the source
    double width = 0;
  };
  struct Graph;  // keeps Boost.Graph out of this header

  std::vector<uint64_t> relay_;
  std::vector<SearchLink> links_;
  std::unique_ptr<Graph> graph_;
  uint32_t source_ = 0;
  std::vector<Label> labels_;
  std::vector<uint32_t> arrived_by_;  // index of the last link of the path, per vertex
};

}  // namespace soapbox
