// The routes of a graph's flows: which links each crosses, and whose work it disturbs at its ends.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/ids.h"

namespace soapbox {

using ResourceId = StrongId<struct ResourceTag>;
using RouteId = StrongId<struct RouteTag>;

class RouteTable {
 public:
  // A flow on this route shares every link of it. `from` and `to` are the resources whose tasks and
  // the flow slow each other down (flow_engine.h); they may be invalid. A route may have no links.
  // REQUIRES: no link twice.
  RouteId add(std::span<const ResourceId> links, ResourceId from = {}, ResourceId to = {});
  void clear();

  size_t size() const { return ends_.size(); }
  bool contains(RouteId route) const { return ends_.contains(route); }
  std::span<const ResourceId> links(RouteId route) const {
    const uint32_t first = first_link(route);
    return {links_.data() + first, rows_[route.index() + 1] - first};
  }
  // The place of the route's first link among the links of all routes, which are in the order of
  // ids.
  uint32_t first_link(RouteId route) const { return rows_[route.index()]; }
  ResourceId from(RouteId route) const { return ends_[route].from; }
  ResourceId to(RouteId route) const { return ends_[route].to; }

 private:
  struct Ends {
    ResourceId from;
    ResourceId to;
  };
  std::vector<uint32_t> rows_{0};
  std::vector<ResourceId> links_;
  IdVector<RouteId, Ends> ends_;
};

}  // namespace soapbox
