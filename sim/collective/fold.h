// Symmetric ranks of a ring are simulated once.
//
// Claim. Let a schedule be unchanged when every rank r becomes r + p (Schedule::folded: true of
// rings by construction), all blocks be of one size, no link be on two paths, and the path of rank
// r have the bandwidth and latency of that of rank r + p, for all r. Then message (step, r) is
// ready and delivered at the same times as (step, r + p), and the schedule with such ranks
// identified, run on the paths of ranks 0 .. p - 1, takes exactly as long. Proof. As no link is
// shared between ranks, what happens on the path of a rank depends only on when its own messages
// become ready. By induction over the order of events, the messages of r + p become ready when
// those of r do: at first both at zero, later when a message of the neighbour is delivered, and
// these are equal as well. Messages of one rank that are ready at the same moment claim their link
// by chunk and step, for both ranks alike. In the identified schedule the predecessor of rank 0 is
// rank p - 1, which does what rank n - 1 does.
//
// So what is to be checked is a property of n pairs (bandwidth, latency): O(n) for each divisor of
// n that is tried.
#pragma once

#include <cstdint>
#include <memory>

#include "sim/base/units.h"
#include "sim/collective/schedule.h"
#include "sim/collective/step_network.h"

namespace soapbox {

// The folded schedule with the smallest period, to be run on the same network and bytes. Null where
// the claim's conditions do not hold or only all ranks together are a period.
std::unique_ptr<const Schedule> find_fold(const Schedule& schedule, const StepNetwork& network,
                                          Bytes total, uint32_t chunks);

}  // namespace soapbox
