// Simulates every message of a collective on first-in-first-out links (network fidelity `steps`).
//
// The rule is in step_network.h. Nothing is unrolled in advance: a message exists from the moment
// it is ready until it is delivered, so memory follows the messages in flight and not their number
// (a ring all_reduce of 1,024 ranks in 4 chunks has 8.4 million messages, at most 4,096 of them in
// flight). Where a message waits for several others, two words per message are kept.
//
// One push and one pop of the event queue per message: O(M log M) time.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/collective/schedule.h"
#include "sim/collective/step_network.h"
#include "sim/engine/event_queue.h"

namespace soapbox {

struct StepsOutcome {
  Duration time;
  uint64_t messages = 0;  // joins not counted
  Bytes sent;             // summed over the messages
};

// When one message of one chunk was ready and delivered.
struct Delivery {
  uint32_t message = 0;
  uint32_t chunk = 0;
  SimTime ready;
  SimTime delivered;
};

class StepEngine {
 public:
  // `total`: bytes of all blocks of the schedule. Fails where messages x chunks >= 2^32.
  // Where not null, `log` receives the deliveries in the order of claims.
  // REQUIRES: the network has the schedule's paths.
  Result<StepsOutcome> run(const Schedule& schedule, const StepNetwork& network, Bytes total,
                           uint32_t chunks, std::vector<Delivery>* log = nullptr);

 private:
  struct LinkState {
    SimTime free_at;
    Bytes bytes;         // of the last message: most are of one size,
    Duration occupancy;  // and dividing takes longer than remembering
    BytesPerSecond bandwidth;
  };
  struct Waiting {
    SimTime ready;
    uint32_t unmet = 0;
  };

  SimTime claim(std::span<const uint32_t> links, SimTime ready, Bytes bytes);
  void reset(const Schedule& schedule, const StepNetwork& network, uint32_t chunks);

  EventQueue queue_;
  std::vector<LinkState> links_;
  std::vector<Waiting> waiting_;  // by message and chunk; empty where no message waits for several
};

}  // namespace soapbox
