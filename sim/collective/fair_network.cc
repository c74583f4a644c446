#include "sim/collective/fair_network.h"

#include "sim/base/str.h"

namespace soapbox {

namespace {

constexpr uint64_t kMostMessages = uint64_t{1} << 24;

}  // namespace

Result<FairGraph> make_fair_graph(const Schedule& schedule, const StepNetwork& network, Bytes total,
                                  uint32_t chunks) {
  const uint64_t messages = uint64_t{schedule.message_count()} * chunks;
  if (messages > kMostMessages) {
    return bad_input(str_cat(messages, " messages are too many for fair sharing; allowed: ",
                             kMostMessages, ". Use fewer chunks or the network 'steps'"));
  }
  const size_t links = network.links().size();
  // One more resource, for tasks that take no time.
  FairGraph fair{TaskGraph(links + 1), Network(links + 1)};
  const auto nowhere = ResourceId::from_index(links);
  for (size_t i = 0; i < links; ++i) {
    fair.links[ResourceId::from_index(i)].bandwidth = network.links()[i].bandwidth;
  }
  fair.links[nowhere].bandwidth = BytesPerSecond(1);
  for (size_t path = 0; path < network.path_count(); ++path) {
    std::vector<ResourceId> route;
    for (const uint32_t link : network.path_links(path)) route.emplace_back(link);
    fair.graph.routes().add(route);
  }
  const uint32_t count = schedule.message_count();
  const MessageBytes bytes_of(schedule, total, chunks);
  for (uint32_t event = 0; event < messages; ++event) {
    const Message message = schedule.message(event % count);
    if (message.is_join()) {
      fair.graph.add_task(nowhere, Duration());
      continue;
    }
    fair.graph.add_flow({RouteId(message.path), bytes_of.of(message, event / count),
                         network.path_latency(message.path)},
                        nowhere, Duration());
  }
  for (uint32_t event = 0; event < messages; ++event) {
    uint32_t lone = 0;
    for (const uint32_t next : schedule.dependents(event % count, lone)) {
      fair.graph.add_edge(TaskId(event), TaskId(event - event % count + next));
    }
  }
  fair.graph.finish();
  return fair;
}

}  // namespace soapbox
