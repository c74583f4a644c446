#include "sim/cluster/path_search.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <utility>

#include "sim/base/check.h"

namespace soapbox {

namespace {

constexpr uint32_t kNoLink = std::numeric_limits<uint32_t>::max();

struct LinkIndex {
  uint32_t index = 0;
};
using BoostGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS,
                                         boost::no_property, LinkIndex>;

}  // namespace

struct PathSearch::Graph {
  explicit Graph(size_t vertices) : graph(vertices) {}
  BoostGraph graph;
};

PathSearch::PathSearch(std::vector<uint64_t> relay, std::vector<SearchLink> links)
    : relay_(std::move(relay)),
      links_(std::move(links)),
      graph_(std::make_unique<Graph>(relay_.size())) {
  for (uint32_t index = 0; index < links_.size(); ++index) {
    const SearchLink& link = links_[index];
    SOAPBOX_CHECK(link.from < relay_.size() && link.to < relay_.size(), "vertex out of range");
    boost::add_edge(link.from, link.to, LinkIndex{index}, graph_->graph);
  }
}

PathSearch::~PathSearch() = default;
PathSearch::PathSearch(PathSearch&&) noexcept = default;
PathSearch& PathSearch::operator=(PathSearch&&) noexcept = default;

void PathSearch::run(uint32_t source) {
  source_ = source;
  const auto extend = [this](const Label& label, uint32_t index) {
    if (label.cost == kUnreached) return label;
    const SearchLink& link = links_[index];
    return Label{label.cost + 1 + relay_[link.from], std::min(label.width, link.width)};
  };
  const auto better = [](const Label& a, const Label& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.width > b.width;
  };
  const Label start{0, std::numeric_limits<double>::infinity()};
  labels_.assign(relay_.size(), Label{});
  boost::dijkstra_shortest_paths(
      graph_->graph, source,
      boost::weight_map(boost::get(&LinkIndex::index, graph_->graph))
          .distance_map(boost::make_iterator_property_map(
              labels_.begin(), boost::get(boost::vertex_index, graph_->graph)))
          .distance_compare(better)
          .distance_combine(extend)
          .distance_inf(Label{})
          .distance_zero(start));

  // Dijkstra keeps the first of equal predecessors it meets; the rule wants the smallest.
  arrived_by_.assign(relay_.size(), kNoLink);
  for (uint32_t index = 0; index < links_.size(); ++index) {
    const SearchLink& link = links_[index];
    if (link.to == source || !reaches(link.from)) continue;
    const Label label = extend(labels_[link.from], index);
    if (better(label, labels_[link.to]) || better(labels_[link.to], label)) continue;
    uint32_t& chosen = arrived_by_[link.to];
    if (chosen == kNoLink ||
        std::pair(link.from, link.id) < std::pair(links_[chosen].from, links_[chosen].id)) {
      chosen = index;
    }
  }
}

void PathSearch::append_path(uint32_t vertex, std::vector<SearchLink>& path) const {
  SOAPBOX_CHECK(reaches(vertex), "no path to this vertex");
  const size_t first = path.size();
  while (vertex != source_) {
    path.push_back(links_[arrived_by_[vertex]]);
    vertex = path.back().from;
  }
  std::reverse(path.begin() + static_cast<std::ptrdiff_t>(first), path.end());
}

}  // namespace soapbox
