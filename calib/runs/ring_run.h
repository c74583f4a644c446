// A real ring all-reduce: threads as ranks, paced loopback TCP as links (paced_link.h), real sums.
// Its time must follow from a ping-pong over one such link alone, by the collective model.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "calib/fits/link_fit.h"
#include "sim/base/result.h"
#include "sim/base/units.h"

namespace soapbox::calib {

// One way for each size: half of the shortest of `repeats` round trips between two threads.
Result<std::vector<TimedTransfer>> ping_pong(BytesPerSecond rate, std::span<const Bytes> sizes,
                                             int repeats, const std::function<bool()>& interrupted);

struct RingRunSpec {
  uint32_t ranks = 4;
  BytesPerSecond rate;
  Bytes bytes;  // of each rank's buffer of floats; a multiple of 4 ranks
  int repeats = 9;
  std::function<bool()> interrupted = [] { return false; };
};
struct RingRun {
  std::vector<double> seconds;  // of each repeat: from the common start to the last rank's end
};
// 2 (ranks - 1) steps of bytes / ranks each: first reduce-scatter, then all-gather. Every element
// of every rank's result is compared with the sum; a wrong one is a bug. Fails on a full system
// (sockets, threads) or when interrupted.
Result<RingRun> run_ring(const RingRunSpec& spec);

}  // namespace soapbox::calib
