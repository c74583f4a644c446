// Max-min fair sharing of links among flows, re-solved only where something changed.
//
// Flow f has a route, a set of links, and may have a cap b_f; link l has a capacity C_l. The rates
// x_f are max-min fair (Bertsekas, Gallager: Data Networks, section 6.5.2) when
//     sum of x_f over the flows of l  <=  C_l,   x_f <= b_f,
// and no rate can grow unless one that is not larger shrinks. Progressive filling finds them: all
// rates grow together; when a link is full, its flows are frozen at the link's level
//     s_l = (C_l - rates of its frozen flows) / (number of its other flows);
// the smallest level is next. A flow at its cap is frozen there. Levels never fall: freezing a flow
// at s <= s_l leaves at least s_l for each of the others.
//
// Numbers. Rates are integers in units of 1/64 byte per second, and levels are rounded down. Sums
// are then exact, and the solution is a function of the set of flows alone, not of the order in
// which they came: the lowest level is next, a cap before links, and links at one level freeze
// together. No id decides anything, so flows that a renumbering of routes and links maps onto each
// other have equal rates (folding relies on it). A link that only one route uses is a cap of that
// route. Rounding leaves less than one unit per flow and link unused.
//
// Flows on the same route are one variable with a count. When flows come and go, every route that
// is frozen below the lowest level at which anything can differ keeps its rate, and of the rest
// only those are re-solved that are joined to the change by shared links:
//   a flow that leaves changes nothing below its own rate;
//   a flow that comes changes nothing below the least C_l / (flows of l) on its route.
// O(V) for V (route, link) pairs visited, and O(log) for each shared link that fills.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/units.h"
#include "sim/engine/route_table.h"

namespace soapbox {

// Bytes per second, in 64ths.
using RateUnits = int64_t;
inline constexpr int64_t kRateUnitsPerByte = 64;
inline constexpr RateUnits kUnlimitedRate = std::numeric_limits<RateUnits>::max();

// Rounded down. REQUIRES: 1/64 B/s <= rate <= 1e17 B/s.
RateUnits to_rate_units(BytesPerSecond rate);

class FairShare {
 public:
  // Starts anew without flows. `capacities` of resources that no route uses are ignored. The routes
  // must outlive the user. REQUIRES: every link of a route has a capacity > 0.
  void reset(const RouteTable& routes, const IdVector<ResourceId, RateUnits>& capacities);

  // Changes; they take effect together in the next solve(). REQUIRES: the route has a link.
  void add_flow(RouteId route);
  void remove_flow(RouteId route);
  void set_cap(RouteId route, RateUnits cap);

  // Re-solves. Returns the routes whose rate changed, in no particular order; valid until the next
  // call. A route without flows has rate 0.
  std::span<const RouteId> solve();

  // The rate of each flow on the route, as of the last solve().
  RateUnits rate(RouteId route) const { return routes_[route].rate; }
  uint32_t flow_count(RouteId route) const { return routes_[route].flows; }

 private:
  struct Link {
    RateUnits capacity = 0;
    RateUnits available = 0;         // solve(): capacity minus frozen rates
    uint32_t unfrozen = 0;           // solve(): flows not frozen yet
    uint32_t flows = 0;              // all flows
    bool visited = false;            // solve()
    std::vector<uint32_t> incident;  // of the routes with flows: index into the table's links
  };
  enum class Phase : uint8_t { kAtRest, kUnfrozen, kFrozen };
  struct Route {
    RateUnits rate = 0;
    RateUnits cap = kUnlimitedRate;
    uint32_t flows = 0;
    Phase phase = Phase::kAtRest;
    bool changed = false;  // since the last solve()
  };
  struct Level {
    RateUnits rate;
    uint32_t id;  // of a link or of a route
    friend constexpr auto operator<=>(const Level&, const Level&) = default;
  };

  void mark_changed(RouteId route);
  void attach(RouteId route);
  void detach(RouteId route);
  RateUnits lowest_affected_level() const;
  void visit(ResourceId link, RateUnits lowest_level);
  void collect(RateUnits lowest_level);
  void collect_levels();
  void fill();
  void fill_links(RateUnits rate);
  void freeze(RouteId route, RateUnits rate);
  void freeze_link(ResourceId link, RateUnits rate);

  const RouteTable* table_ = nullptr;
  IdVector<ResourceId, Link> links_;
  IdVector<RouteId, Route> routes_;
  std::vector<RouteId> route_of_;  // of an index into the table's links
  std::vector<uint32_t> place_;    // of such an index in its link's `incident`
  std::vector<RouteId> changes_;   // routes with changes since the last solve()
  std::vector<RouteId> result_;
  // Of the current solve():
  std::vector<ResourceId> open_links_;
  std::vector<RouteId> open_routes_;
  std::vector<Level> caps_;    // ascending
  std::vector<Level> levels_;  // heap of shared links; lower bounds of their levels
  std::vector<ResourceId> full_;
  size_t unfrozen_ = 0;
};

}  // namespace soapbox
