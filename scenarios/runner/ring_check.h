// A real ring all-reduce over paced links, beside what the collective model says of it from a
// ping-pong over one such link.
#pragma once

#include <cstdint>
#include <string>

#include "results/table.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/interrupt.h"
#include "sim/base/result.h"
#include "sim/base/units.h"

namespace soapbox::runner {

struct RingCheckSpec {
  uint32_t ranks = 4;
  BytesPerSecond rate = BytesPerSecond(20e6);
  int repeats = 9;
};

struct RingCheck {
  results::Table table;  // a row for each size
  std::string summary;
  double worst_error = 0;
};

// Predictions are made, and said on the console, before the ring runs.
Result<RingCheck> check_ring(const RingCheckSpec& spec, const Interrupt& interrupt,
                             const Console& console);

}  // namespace soapbox::runner
