// The flow engine against SimGrid (Casanova et al.), whose max-min model has been validated for 15
// years: random traffic on a fat tree, every flow's time. Built where SimGrid is installed.
//
// SimGrid's CM02 model weighs flows by the inverse of their latency; all routes have the same
// latency here, so that its sharing is max-min fair as ours.
#include <gtest/gtest.h>

#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "sim/engine/check_flows.h"
#include "sim/engine/fat_tree.h"

namespace soapbox {
namespace {

namespace s4u = simgrid::s4u;

constexpr double kBandwidth = 12.5e9;
constexpr Duration kLatency = microseconds(1);  // of the link from a host to its leaf
constexpr FatTree kTree{64};

struct RandomFlow {
  uint32_t from;
  uint32_t to;
  int64_t bytes;
  Duration start;
};

std::vector<RandomFlow> random_flows(uint64_t seed, uint32_t count) {
  Rng rng(seed);
  std::vector<RandomFlow> flows;
  for (uint32_t i = 0; i < count; ++i) {
    RandomFlow flow;
    flow.from = rng.below(kTree.hosts);
    // A quarter goes to few hosts: many flows on one link.
    const uint32_t offset = rng.below(kTree.hosts - 1) + 1;
    flow.to = rng.below(4) == 0 ? rng.below(3) : (flow.from + offset) % kTree.hosts;
    if (flow.to == flow.from) flow.to = (flow.from + 1) % kTree.hosts;
    flow.bytes = 10'000 + rng.below(5'000'000);
    flow.start = nanoseconds(rng.below(2'000'000));
    flows.push_back(flow);
  }
  return flows;
}

// Seconds from each flow's start to its end.
std::vector<double> run_ours(const std::vector<RandomFlow>& flows) {
  TaskGraph graph(kTree.link_count() + flows.size());
  Network network = kTree.network(BytesPerSecond(kBandwidth));
  network.resize(graph.resource_count());
  std::vector<TaskId> tasks;
  for (const RandomFlow& flow : flows) {
    const ResourceId clock = ResourceId::from_index(kTree.link_count() + tasks.size());
    const TaskId delay = graph.add_task(clock, flow.start);
    const RouteId route = graph.routes().add(kTree.route(flow.from, flow.to));
    tasks.push_back(graph.add_flow(Flow{route, Bytes(flow.bytes), kLatency}, clock, Duration()));
    graph.add_edge(delay, tasks.back());
  }
  graph.finish();
  Timeline timeline;
  std::vector<RateChange> log;
  FlowEngine().run(graph, network, timeline, &log);
  EXPECT_TRUE(check_flows(graph, network, timeline, log));
  std::vector<double> times;
  for (TaskId task : tasks) times.push_back((timeline.end[task] - timeline.start[task]).seconds());
  return times;
}

std::vector<double> run_simgrid(const std::vector<RandomFlow>& flows) {
  int argc = 1;
  std::string program = "test";
  std::vector<char*> argv{program.data(), nullptr};
  s4u::Engine engine(&argc, argv.data());
  s4u::Engine::set_config("network/model:CM02");
  s4u::Engine::set_config("network/crosstraffic:0");
  s4u::NetZone* zone = s4u::create_full_zone("tree");
  std::vector<s4u::Host*> hosts;
  for (uint32_t i = 0; i < kTree.hosts; ++i) {
    hosts.push_back(zone->create_host("host" + std::to_string(i), 1e9));
  }
  std::vector<s4u::Link*> links;
  for (uint32_t i = 0; i < kTree.link_count(); ++i) {
    links.push_back(zone->create_link("link" + std::to_string(i), kBandwidth));
    links.back()->set_latency(i < kTree.hosts ? kLatency.seconds() : 0);
    links.back()->seal();
  }
  for (uint32_t from = 0; from < kTree.hosts; ++from) {
    for (uint32_t to = 0; to < kTree.hosts; ++to) {
      if (from == to) continue;
      std::vector<s4u::LinkInRoute> route;
      for (ResourceId link : kTree.route(from, to)) route.emplace_back(links[link.index()]);
      zone->add_route(hosts[from]->get_netpoint(), hosts[to]->get_netpoint(), nullptr, nullptr,
                      route, false);
    }
  }
  zone->seal();

  std::vector<double> times(flows.size());
  for (size_t i = 0; i < flows.size(); ++i) {
    const RandomFlow& flow = flows[i];
    s4u::Actor::create("sender", hosts[flow.from], [&hosts, &times, &flow, i] {
      s4u::this_actor::sleep_until(flow.start.seconds());
      s4u::Comm::sendto(hosts[flow.from], hosts[flow.to], static_cast<uint64_t>(flow.bytes));
      times[i] = s4u::Engine::get_clock() - flow.start.seconds();
    });
  }
  engine.run();
  return times;
}

// One test, because a process can hold one SimGrid engine only.
TEST(FlowEngineAgainstSimGrid, EveryFlowOfRandomFatTreeTrafficAgreesWithinATenthOfAPercent) {
  constexpr uint64_t kSeed = 7;
  const std::vector<RandomFlow> flows = random_flows(kSeed, 600);
  const std::vector<double> ours = run_ours(flows);
  const std::vector<double> theirs = run_simgrid(flows);
  double slowest = 0;  // compared with the time alone: there must be sharing to compare
  for (size_t i = 0; i < flows.size(); ++i) {
    EXPECT_NEAR(ours[i], theirs[i], 1e-3 * theirs[i]) << "seed " << kSeed << " flow " << i;
    const double alone = kLatency.seconds() + static_cast<double>(flows[i].bytes) / kBandwidth;
    slowest = std::max(slowest, ours[i] / alone);
  }
  EXPECT_GT(slowest, 5);
}

}  // namespace
}  // namespace soapbox
