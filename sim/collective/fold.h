// Symmetric ranks are simulated once.
//
// Rings. Claim. Let a schedule be unchanged when every rank r becomes r + p (Schedule::folded: true
// of rings by construction), all blocks be of one size, no link be on two paths, and the path of
// rank r have the bandwidth and latency of that of rank r + p, for all r. Then message (step, r) is
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
//
// Steps (halving and doubling, direct, hierarchical), whose paths share links. In step k every rank
// r sends (or joins) once: message k n + r. Let a group of renumberings g (r + i p modulo n, or r
// xor i p) act on the ranks so that
//   a. message (k, g r) is (k, r) with all ranks renumbered: same number of blocks, all of one
//      size; the dependents of (k, g r) are those of (k, r), renumbered;
//   b. the links map onto each other: a bijection G of the links takes the path of (k, r), link by
//      link, to that of (k, g r), with equal bandwidths and latencies;
//   c. no link is on the paths of two messages of one step.
// Claim. (k, r) and (k, g r) are ready and delivered at the same times; and the run of ranks
// 0 .. p - 1 alone takes as long, where a dependent is replaced by its image among these ranks and
// a link by a representative of its images under all G. Proof. By (c) the claims of a link are
// ordered by (ready, chunk, step), never by rank. So g maps the run to a run: by induction over the
// order of events the claims of link l and of link G(l) are the same, as their messages are the
// same by (b) and ready at the same times by (a). For the second part: the claims of the
// representative of l come from one message (k, r mod p) for each message (k, r) over l; two
// different ones over l cannot have the same image, since (k, r) and (k, g r) over l contradict
// (c). So every link of the small run sees the claims that l sees in the large one.
// Fair sharing. The same holds for flows. At every moment the rates are a function of the flows in
// the links that names nothing (fair_share.h), so flows that g maps onto each other have equal
// rates. A link of the small run carries the images of the flows of l, one for one, as above; and
// no path crosses it twice, since two links of one path that some g maps onto each other would lie
// on the paths of two messages of one step. Progressive filling then freezes the flows of both
// networks at the same levels, level by level.
// All of (a), (b), (c) is checked message by message, for the generators of the group: O(messages x
// links of a path) for each p that is tried, the smallest first.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "sim/base/units.h"
#include "sim/collective/schedule.h"
#include "sim/collective/step_network.h"

namespace soapbox {

struct Fold {
  std::unique_ptr<const Schedule> schedule;  // null: not folded
  std::optional<StepNetwork> network;        // to run it on; absent: the one of all ranks
  uint32_t ranks = 0;                        // that stand for all
};

// With the fewest ranks that stand for all, to be run with the same bytes. Nothing where the
// conditions do not hold or only all ranks together are a period.
Fold find_fold(const Schedule& schedule, const StepNetwork& network, Bytes total, uint32_t chunks);

}  // namespace soapbox
