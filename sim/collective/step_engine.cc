#include "sim/collective/step_engine.h"

#include <algorithm>

#include "sim/base/str.h"

namespace soapbox {

// When the last byte has passed the last link, without latency.
SimTime StepEngine::claim(std::span<const uint32_t> links, SimTime ready, Bytes bytes) {
  SimTime begin = ready;
  SimTime through = ready;
  for (const uint32_t id : links) {
    LinkState& link = links_[id];
    if (link.bytes != bytes) {
      link.bytes = bytes;
      link.occupancy = bytes / link.bandwidth;
    }
    begin = std::max(begin, link.free_at);
    link.free_at = begin + link.occupancy;
    through = std::max(through, link.free_at);
  }
  return through;
}

void StepEngine::reset(const Schedule& schedule, const StepNetwork& network, uint32_t chunks) {
  queue_.clear(uint64_t{schedule.message_count()} * chunks);
  links_.clear();
  for (const StepLink& link : network.links()) {
    links_.push_back({SimTime(), Bytes(), Duration(), link.bandwidth});
  }
  waiting_.clear();
  if (!schedule.waits_are_single()) {
    waiting_.resize(size_t{schedule.message_count()} * chunks);
  }
  const uint32_t messages = schedule.message_count();
  for (uint32_t id = 0; id < messages; ++id) {
    const uint32_t waits = schedule.wait_count(id);
    for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
      const uint32_t event = chunk * messages + id;
      if (waits == 0) queue_.push(SimTime(), event);
      if (!waiting_.empty()) waiting_[event].unmet = waits;
    }
  }
}

Result<StepsOutcome> StepEngine::run(const Schedule& schedule, const StepNetwork& network,
                                     Bytes total, uint32_t chunks, std::vector<Delivery>* log) {
  if (uint64_t{schedule.message_count()} * chunks > UINT32_MAX) {
    return bad_input(str_cat(schedule.message_count(), " messages in ", chunks,
                             " chunks are more than 2^32; use fewer chunks"));
  }
  reset(schedule, network, chunks);
  const MessageBytes bytes_of(schedule, total, chunks);
  const uint32_t messages = schedule.message_count();
  StepsOutcome outcome;
  SimTime last;
  while (!queue_.empty()) {
    const Event event = queue_.pop();
    const uint32_t chunk = event.id / messages;
    const uint32_t id = event.id - chunk * messages;
    const Message message = schedule.message(id);
    SimTime delivered = event.time;
    if (!message.is_join()) {
      const Bytes bytes = bytes_of.of(message, chunk);
      delivered = claim(network.path_links(message.path), event.time, bytes) +
                  network.path_latency(message.path);
      ++outcome.messages;
      outcome.sent += bytes;
      last = std::max(last, delivered);
      if (log != nullptr) log->push_back({id, chunk, event.time, delivered});
    }
    uint32_t lone = 0;
    for (const uint32_t dependent : schedule.dependents(id, lone)) {
      const uint32_t next = chunk * messages + dependent;
      SimTime ready = delivered;
      if (!waiting_.empty()) {
        Waiting& waiting = waiting_[next];
        ready = waiting.ready = std::max(waiting.ready, delivered);
        if (--waiting.unmet != 0) continue;
      }
      queue_.push(ready, next);
    }
  }
  outcome.time = last - SimTime();
  return outcome;
}

}  // namespace soapbox
