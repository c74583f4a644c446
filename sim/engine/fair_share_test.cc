#include "sim/engine/fair_share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "sim/base/rng.h"

namespace soapbox {
namespace {

using Rates = std::vector<RateUnits>;

// Links and routes by number.
struct System {
  System(std::vector<RateUnits> link_capacities, std::vector<std::vector<uint32_t>> route_links) {
    for (RateUnits capacity : link_capacities) capacities.push_back(capacity);
    for (const std::vector<uint32_t>& numbers : route_links) {
      std::vector<ResourceId> links;
      for (uint32_t number : numbers) links.emplace_back(number);
      routes.add(links);
    }
  }
  IdVector<ResourceId, RateUnits> capacities;
  RouteTable routes;
};

Rates rates(const FairShare& shares, const System& system) {
  Rates all;
  for (RouteId route : id_range<RouteId>(system.routes.size())) all.push_back(shares.rate(route));
  return all;
}

// One flow on each route.
Rates solve_once(const System& system) {
  FairShare shares;
  shares.reset(system.routes, system.capacities);
  for (RouteId route : id_range<RouteId>(system.routes.size())) shares.add_flow(route);
  shares.solve();
  return rates(shares, system);
}

TEST(FairShare, FlowsOnOneLinkGetEqualParts) {
  EXPECT_EQ(solve_once(System({1000}, {{0}, {0}})), (Rates{500, 500}));
  EXPECT_EQ(solve_once(System({1000}, {{0}, {0}, {0}})), (Rates{333, 333, 333}));
  EXPECT_EQ(solve_once(System({1000}, {{0}})), (Rates{1000}));
}

// Parking lot: one flow over all links, one more on each link. Link 1 is the bottleneck of the long
// flow (300 / 2); each other flow gets what is left.
TEST(FairShare, ParkingLotGivesWhatTheLongFlowLeaves) {
  EXPECT_EQ(solve_once(System({1000, 300, 800}, {{0, 1, 2}, {0}, {1}, {2}})),
            (Rates{150, 850, 150, 650}));
}

// Bertsekas and Gallager's kind of example: a chain of bottlenecks. Link 0 (90) is shared by three:
// 30 each. Link 1 (100) has one of them, so its two others get (100 - 30) / 2 = 35. Link 2 (200)
// has one of those, so the last flow gets 200 - 35.
TEST(FairShare, BottlenecksAreResolvedFromTheLowest) {
  EXPECT_EQ(solve_once(System({90, 100, 200}, {{0}, {0}, {0, 1}, {1}, {1, 2}, {2}})),
            (Rates{30, 30, 30, 35, 35, 165}));
}

TEST(FairShare, DirectionsOfADuplexCableAreIndependent) {
  EXPECT_EQ(solve_once(System({1000, 1000}, {{0}, {1}})), (Rates{1000, 1000}));
}

TEST(FairShare, ACapLeavesTheRestToOthers) {
  const System system({1000}, {{0}, {0}});
  FairShare shares;
  shares.reset(system.routes, system.capacities);
  shares.set_cap(RouteId(0), 200);
  shares.add_flow(RouteId(0));
  shares.add_flow(RouteId(1));
  EXPECT_EQ(shares.solve().size(), 2u);
  EXPECT_EQ(rates(shares, system), (Rates{200, 800}));
  shares.set_cap(RouteId(0), kUnlimitedRate);
  EXPECT_EQ(shares.solve().size(), 2u);
  EXPECT_EQ(rates(shares, system), (Rates{500, 500}));
}

TEST(FairShare, FlowsOfOneRouteCountSeparately) {
  const System system({900}, {{0}, {0}});
  FairShare shares;
  shares.reset(system.routes, system.capacities);
  shares.add_flow(RouteId(0));
  shares.add_flow(RouteId(0));
  shares.add_flow(RouteId(1));
  shares.solve();
  EXPECT_EQ(rates(shares, system), (Rates{300, 300}));
  shares.remove_flow(RouteId(0));
  shares.solve();
  EXPECT_EQ(rates(shares, system), (Rates{450, 450}));
  shares.remove_flow(RouteId(0));
  shares.solve();
  EXPECT_EQ(rates(shares, system), (Rates{0, 900}));
}

TEST(FairShare, OnlyRoutesJoinedToAChangeAreReported) {
  const System system({1000, 1000}, {{0}, {0}, {1}});
  FairShare shares;
  shares.reset(system.routes, system.capacities);
  for (uint32_t route = 0; route < 3; ++route) shares.add_flow(RouteId(route));
  EXPECT_EQ(shares.solve().size(), 3u);
  EXPECT_TRUE(shares.solve().empty());
  shares.remove_flow(RouteId(0));
  const auto changed = shares.solve();
  EXPECT_EQ(std::vector<RouteId>(changed.begin(), changed.end()),
            (std::vector<RouteId>{RouteId(1), RouteId(0)}));
}

// The definition in fair_share.h read literally: freeze at the smallest (level, kind), again and
// again, with every level computed anew.
Rates solve_naively(const System& system, const std::vector<uint32_t>& flows, const Rates& caps) {
  const size_t routes = system.routes.size();
  Rates rate(routes, 0);
  std::vector<bool> frozen(routes);
  for (size_t r = 0; r < routes; ++r) frozen[r] = flows[r] == 0;
  const auto crosses = [&](size_t route, ResourceId link) {
    const auto links = system.routes.links(RouteId::from_index(route));
    return std::ranges::find(links, link) != links.end();
  };
  for (;;) {
    struct Level {
      RateUnits rate;
      int kind;  // 0: of a route that is capped, 1: of a link
      auto operator<=>(const Level&) const = default;
    };
    std::optional<Level> lowest;
    std::vector<size_t> ids;  // of those at that level
    const auto consider = [&](Level level, size_t id) {
      if (!lowest || level < *lowest) {
        lowest = level;
        ids.clear();
      }
      if (level == *lowest) ids.push_back(id);
    };
    for (size_t r = 0; r < routes; ++r) {
      if (!frozen[r] && caps[r] != kUnlimitedRate) consider({caps[r], 0}, r);
    }
    for (ResourceId link : system.capacities.ids()) {
      RateUnits left = system.capacities[link];
      RateUnits sharing = 0;
      size_t users = 0;
      size_t last_open = 0;
      for (size_t r = 0; r < routes; ++r) {
        if (flows[r] == 0 || !crosses(r, link)) continue;
        ++users;
        if (frozen[r]) {
          left -= rate[r] * flows[r];
        } else {
          sharing += flows[r];
          last_open = r;
        }
      }
      if (sharing == 0) continue;
      const bool is_cap = users == 1;
      consider({left / sharing, is_cap ? 0 : 1}, is_cap ? last_open : link.index());
    }
    if (!lowest) return rate;
    for (size_t r = 0; r < routes; ++r) {
      const bool hit = std::ranges::any_of(ids, [&](size_t id) {
        return lowest->kind == 0 ? r == id : crosses(r, ResourceId::from_index(id));
      });
      if (frozen[r] || !hit) continue;
      frozen[r] = true;
      rate[r] = lowest->rate;
    }
  }
}

System random_system(Rng& rng) {
  const uint32_t links = 1 + rng.below(10);
  std::vector<RateUnits> capacities;
  for (uint32_t l = 0; l < links; ++l) {
    // Few distinct capacities make ties; small ones make rounding matter.
    capacities.push_back(rng.below(2) == 0 ? 100 * (1 + rng.below(3)) : 50 + rng.below(5000));
  }
  std::vector<std::vector<uint32_t>> routes;
  const uint32_t route_count = 1 + rng.below(14);
  for (uint32_t r = 0; r < route_count; ++r) {
    std::vector<uint32_t> route;
    for (uint32_t l = 0; l < links; ++l) {
      if (rng.below(3) == 0) route.push_back(l);
    }
    if (route.empty()) route.push_back(rng.below(links));
    routes.push_back(route);
  }
  return System(capacities, routes);
}

// Batches of random changes; after each, the rates must equal those computed from nothing.
TEST(FairShare, ReSharingEqualsTheDefinitionAfterEveryChange) {
  FairShare shares;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    const System system = random_system(rng);
    const auto routes = static_cast<uint32_t>(system.routes.size());
    std::vector<uint32_t> flows(routes, 0);
    Rates caps(routes, kUnlimitedRate);
    shares.reset(system.routes, system.capacities);
    for (int step = 0; step < 25; ++step) {
      const Rates before = rates(shares, system);
      for (uint32_t i = 0; i <= rng.below(3); ++i) {
        const uint32_t r = rng.below(routes);
        const RouteId route(r);
        const uint32_t choice = rng.below(6);
        if (choice == 0) {
          caps[r] = rng.below(2) == 0 ? kUnlimitedRate : 1 + rng.below(400);
          shares.set_cap(route, caps[r]);
        } else if (choice <= 3 || flows[r] == 0) {
          ++flows[r];
          shares.add_flow(route);
        } else {
          --flows[r];
          shares.remove_flow(route);
        }
      }
      std::vector<uint32_t> reported;
      for (RouteId route : shares.solve()) reported.push_back(route.value());
      const Rates after = rates(shares, system);
      ASSERT_EQ(after, solve_naively(system, flows, caps)) << "step " << step;
      std::ranges::sort(reported);
      std::vector<uint32_t> changed;
      for (uint32_t r = 0; r < routes; ++r) {
        if (before[r] != after[r]) changed.push_back(r);
      }
      ASSERT_EQ(reported, changed) << "step " << step;
    }
  }
}

// What max-min means, up to rounding: no link is over capacity, and every flow is at its cap or
// crosses a full link on which no flow is faster.
TEST(FairShare, EveryFlowHasABottleneck) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, 1);
    const System system = random_system(rng);
    const Rates rate = solve_once(system);
    IdVector<ResourceId, RateUnits> used(system.capacities.size());
    IdVector<ResourceId, RateUnits> fastest(system.capacities.size());
    IdVector<ResourceId, RateUnits> users(system.capacities.size());
    for (RouteId route : id_range<RouteId>(system.routes.size())) {
      for (ResourceId link : system.routes.links(route)) {
        used[link] += rate[route.index()];
        fastest[link] = std::max(fastest[link], rate[route.index()]);
        ++users[link];
      }
    }
    for (ResourceId link : used.ids()) EXPECT_LE(used[link], system.capacities[link]);
    for (RouteId route : id_range<RouteId>(system.routes.size())) {
      bool has_bottleneck = false;
      for (ResourceId link : system.routes.links(route)) {
        // Rounding a level down leaves less than one unit for each flow that is still to be frozen.
        const bool full = used[link] > system.capacities[link] - users[link];
        const bool fastest_here = rate[route.index()] + users[link] > fastest[link];
        has_bottleneck = has_bottleneck || (full && fastest_here);
      }
      EXPECT_TRUE(has_bottleneck) << "route " << route.value();
    }
  }
}

TEST(FairShareDeathTest, RefusesWhatHasNoSolution) {
  EXPECT_DEATH(solve_once(System({1}, {{0}, {0}})), "more flows than 64ths");
  EXPECT_DEATH(solve_once(System({0}, {{0}})), "no capacity");
  EXPECT_DEATH(System({5}, {{0, 0}}), "crosses a link twice");
  EXPECT_DEATH(to_rate_units(BytesPerSecond(0)), "out of range");
  EXPECT_DEATH(to_rate_units(BytesPerSecond(1e18)), "out of range");
}

// Route r of class c crosses link (r + a) modulo n of several rings of links: a rotation maps flows
// onto flows. Capacities that nothing divides leave remainders, which must not tell them apart.
TEST(FairShare, FlowsThatARotationMapsOntoEachOtherHaveEqualRates) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed);
    const uint32_t n = 2 + rng.below(9);
    const uint32_t rings = 1 + rng.below(3);
    const uint32_t classes = 1 + rng.below(4);
    std::vector<RateUnits> capacities;
    for (uint32_t ring = 0; ring < rings; ++ring) {
      capacities.insert(capacities.end(), n, 50 + rng.below(1000));
    }
    std::vector<std::vector<uint32_t>> routes;
    for (uint32_t c = 0; c < classes; ++c) {
      std::vector<std::pair<uint32_t, uint32_t>> crossed;  // ring and offset
      for (uint32_t ring = 0; ring < rings; ++ring) {
        if (ring > 0 && rng.below(2) == 0) continue;
        const uint32_t first = rng.below(n);
        const uint32_t count = 1 + rng.below(n);
        for (uint32_t i = 0; i < count; ++i) crossed.emplace_back(ring, first + i);
      }
      for (uint32_t r = 0; r < n; ++r) {
        std::vector<uint32_t>& route = routes.emplace_back();
        for (const auto& [ring, offset] : crossed) route.push_back(ring * n + (r + offset) % n);
      }
    }
    const Rates solved = solve_once(System(capacities, routes));
    for (uint32_t i = 0; i < solved.size(); ++i) {
      ASSERT_EQ(solved[i], solved[i - i % n]) << "seed " << seed << ", route " << i;
    }
  }
}

}  // namespace
}  // namespace soapbox
