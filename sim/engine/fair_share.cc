#include "sim/engine/fair_share.h"

#include <algorithm>

namespace soapbox {

RateUnits to_rate_units(BytesPerSecond rate) {
  const double units = rate.rate() * static_cast<double>(kRateUnitsPerByte);
  SOAPBOX_CHECK(units >= 1 && units <= 6.4e18, "rate out of range");
  return static_cast<RateUnits>(units);
}

void FairShare::reset(const RouteTable& routes, const IdVector<ResourceId, RateUnits>& capacities) {
  table_ = &routes;
  links_.resize(capacities.size());
  for (ResourceId link : capacities.ids()) {
    links_[link].capacity = capacities[link];
    links_[link].flows = 0;
    links_[link].incident.clear();
  }
  routes_.assign(routes.size(), Route{});
  route_of_.clear();
  for (RouteId route : id_range<RouteId>(routes.size())) {
    for (ResourceId link : routes.links(route)) {
      SOAPBOX_CHECK(links_.contains(link) && links_[link].capacity > 0, "a link has no capacity");
      route_of_.push_back(route);
    }
  }
  place_.assign(route_of_.size(), 0);
  changes_.clear();
}

void FairShare::mark_changed(RouteId route) {
  if (routes_[route].changed) return;
  routes_[route].changed = true;
  changes_.push_back(route);
}

void FairShare::add_flow(RouteId route) {
  SOAPBOX_DCHECK(!table_->links(route).empty(), "a route without links has no rate");
  if (routes_[route].flows++ == 0) attach(route);
  for (ResourceId link : table_->links(route)) ++links_[link].flows;
  mark_changed(route);
}

void FairShare::remove_flow(RouteId route) {
  SOAPBOX_DCHECK(routes_[route].flows > 0, "the route has no flow");
  if (--routes_[route].flows == 0) detach(route);
  for (ResourceId link : table_->links(route)) --links_[link].flows;
  mark_changed(route);
}

void FairShare::set_cap(RouteId route, RateUnits cap) {
  SOAPBOX_DCHECK(cap > 0, "a cap must be positive");
  if (routes_[route].cap == cap) return;
  routes_[route].cap = cap;
  if (routes_[route].flows > 0) mark_changed(route);
}

void FairShare::attach(RouteId route) {
  uint32_t index = table_->first_link(route);
  for (ResourceId link : table_->links(route)) {
    place_[index] = static_cast<uint32_t>(links_[link].incident.size());
    links_[link].incident.push_back(index++);
  }
}

void FairShare::detach(RouteId route) {
  uint32_t index = table_->first_link(route);
  for (ResourceId link : table_->links(route)) {
    std::vector<uint32_t>& incident = links_[link].incident;
    const uint32_t last = incident.back();
    incident[place_[index]] = last;
    place_[last] = place_[index++];
    incident.pop_back();
  }
}

RateUnits FairShare::lowest_affected_level() const {
  RateUnits lowest = kUnlimitedRate;
  for (RouteId route : changes_) {
    const Route& changed = routes_[route];
    if (changed.rate > 0) lowest = std::min(lowest, changed.rate);
    if (changed.flows == 0) continue;
    lowest = std::min(lowest, changed.cap);
    for (ResourceId link : table_->links(route)) {
      lowest = std::min(lowest, links_[link].capacity / links_[link].flows);
    }
  }
  return lowest;
}

// Sets up a link for this solve() and opens its routes, except those that keep their rate.
void FairShare::visit(ResourceId id, RateUnits lowest_level) {
  Link& link = links_[id];
  link.available = link.capacity;
  link.unfrozen = 0;
  for (uint32_t index : link.incident) {
    Route& route = routes_[route_of_[index]];
    if (route.phase == Phase::kAtRest) {
      if (route.rate < lowest_level && !route.changed) {
        link.available -= route.rate * route.flows;
        continue;
      }
      route.phase = Phase::kUnfrozen;
      open_routes_.push_back(route_of_[index]);
    }
    link.unfrozen += route.flows;
  }
}

// Everything joined to the changes by links and routes at or above the level.
void FairShare::collect(RateUnits lowest_level) {
  const auto open_links = [&](RouteId route) {
    for (ResourceId link : table_->links(route)) {
      if (links_[link].visited) continue;
      links_[link].visited = true;
      open_links_.push_back(link);
    }
  };
  for (RouteId route : changes_) open_links(route);
  size_t next_link = 0;
  size_t next_route = 0;
  while (next_link < open_links_.size() || next_route < open_routes_.size()) {
    if (next_route < open_routes_.size()) {
      open_links(open_routes_[next_route++]);
    } else {
      visit(open_links_[next_link++], lowest_level);
    }
  }
}

void FairShare::collect_levels() {
  for (RouteId id : open_routes_) {
    const Route& route = routes_[id];
    RateUnits cap = route.cap;
    for (ResourceId link : table_->links(id)) {
      if (links_[link].flows == route.flows) {
        cap = std::min(cap, links_[link].capacity / route.flows);
      }
    }
    if (cap != kUnlimitedRate) caps_.push_back(Level{cap, id.value()});
  }
  if (!std::ranges::is_sorted(caps_)) std::ranges::sort(caps_);
  for (ResourceId id : open_links_) {
    const Link& link = links_[id];
    if (link.unfrozen == 0 || link.incident.size() == 1) continue;
    levels_.push_back(Level{link.available / link.unfrozen, id.value()});
  }
  std::ranges::make_heap(levels_, std::greater());
}

void FairShare::freeze(RouteId id, RateUnits rate) {
  SOAPBOX_CHECK(rate > 0, "a link has more flows than 64ths of bytes per second");
  Route& route = routes_[id];
  route.phase = Phase::kFrozen;
  --unfrozen_;
  for (ResourceId link : table_->links(id)) {
    links_[link].available -= rate * route.flows;
    links_[link].unfrozen -= route.flows;
  }
  if (route.rate != rate) {
    route.rate = rate;
    result_.push_back(id);
  }
}

void FairShare::freeze_link(ResourceId link, RateUnits rate) {
  for (uint32_t index : links_[link].incident) {
    const RouteId route = route_of_[index];
    if (routes_[route].phase == Phase::kUnfrozen) freeze(route, rate);
  }
}

void FairShare::fill() {
  auto cap = caps_.begin();
  while (unfrozen_ > 0) {
    while (cap != caps_.end() && routes_[RouteId(cap->id)].phase == Phase::kFrozen) ++cap;
    if (cap != caps_.end() && (levels_.empty() || cap->rate <= levels_.front().rate)) {
      freeze(RouteId(cap->id), cap->rate);
      continue;
    }
    SOAPBOX_CHECK(!levels_.empty(), "a flow is limited by nothing");
    fill_links(levels_.front().rate);
  }
}

// Freezes the links whose level is `rate`, the lowest. Which they are is settled before the first
// of them freezes: what rounding leaves of one must not go to another.
void FairShare::fill_links(RateUnits rate) {
  full_.clear();
  while (!levels_.empty() && levels_.front().rate == rate) {
    std::ranges::pop_heap(levels_, std::greater());
    Level& level = levels_.back();
    const Link& link = links_[ResourceId(level.id)];
    if (link.unfrozen > 0 && link.available / link.unfrozen > rate) {
      level.rate = link.available / link.unfrozen;  // flows were frozen elsewhere since
      std::ranges::push_heap(levels_, std::greater());
      continue;
    }
    if (link.unfrozen > 0) full_.emplace_back(level.id);
    levels_.pop_back();
  }
  for (const ResourceId link : full_) freeze_link(link, rate);
}

std::span<const RouteId> FairShare::solve() {
  result_.clear();
  if (changes_.empty()) return result_;
  open_links_.clear();
  open_routes_.clear();
  caps_.clear();
  levels_.clear();

  collect(lowest_affected_level());
  unfrozen_ = open_routes_.size();
  collect_levels();
  fill();

  for (RouteId route : open_routes_) routes_[route].phase = Phase::kAtRest;
  for (ResourceId link : open_links_) links_[link].visited = false;
  for (RouteId route : changes_) {
    routes_[route].changed = false;
    if (routes_[route].flows == 0 && routes_[route].rate != 0) {
      routes_[route].rate = 0;
      result_.push_back(route);
    }
  }
  changes_.clear();
  return result_;
}

}  // namespace soapbox
