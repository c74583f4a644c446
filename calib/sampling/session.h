// A calibration session: all points in shuffled order, anchors again and again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "calib/sampling/sample_file.h"
#include "sim/base/result.h"

namespace soapbox::calib {

struct SessionSpec {
  bool quick = false;
  // Of a processor: ask for real-time priority (precise_wait.h), so that other programs stay off
  // the core that measures; the others they may share.
  bool realtime = false;
  uint64_t seed = 1;
  double most_seconds = 180;  // wall time; what is not measured by then is left out
  std::function<bool()> interrupted = [] { return false; };
  std::function<void(size_t done, size_t total, const std::string& what)> progress =
      [](size_t, size_t, const std::string&) {};
  std::function<Status(const std::string& line)> write;  // takes each line as it is made
};

struct SessionOutcome {
  size_t measured = 0;
  size_t left_out = 0;
  size_t refused = 0;         // that the library has no kernel or memory for
  std::string first_refusal;  // in its words
  double seconds = 0;
  double drift = 0;      // of the anchor that moved most: |last median / first - 1|
  double disturbed = 0;  // mean over the points
};

// A device that keeps time by itself is measured alone, collectives after all else, and then its
// anchors once more. Else, while it measures on the first core,
// the others are kept busy with products and copies: devices of a cluster work at the same time,
// and share caches, memory and power.
//
// Measures each point once (of equal ones the first) and writes its line. Fails where writing fails
// or when interrupted; what was written stays.
Result<SessionOutcome> run_session(KernelModule& module, std::vector<ProbePoint> points,
                                   const SampleHeader& header, const SessionSpec& spec);

// What a real run spends from the end of one task to the start of the next, on one thread, in the
// median of several runs; by wall time.
double dispatch_seconds();

}  // namespace soapbox::calib
