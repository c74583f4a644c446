#include "sim/engine/route_table.h"

#include <algorithm>

namespace soapbox {

RouteId RouteTable::add(std::span<const ResourceId> links, ResourceId from, ResourceId to) {
  for (size_t i = 0; i < links.size(); ++i) {
    const auto before = links.first(i);
    const bool repeated = std::ranges::find(before, links[i]) != before.end();
    SOAPBOX_CHECK(!repeated, "a route crosses a link twice");
  }
  SOAPBOX_CHECK(links_.size() + links.size() < UINT32_MAX, "too many links for 32-bit rows");
  links_.insert(links_.end(), links.begin(), links.end());
  rows_.push_back(static_cast<uint32_t>(links_.size()));
  return ends_.push_back(Ends{from, to});
}

void RouteTable::clear() {
  rows_.assign(1, 0);
  links_.clear();
  ends_.clear();
}

}  // namespace soapbox
