// Raw samples as JSON Lines: a header that says where and how, then a line for each measured point.
//
// Written line by line, so that a run that is ended keeps what it has measured. Times are whole
// nanoseconds. The fits (device_profile.h) read nothing else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "calib/backend/cores.h"
#include "calib/probes/probe.h"
#include "calib/sampling/measure.h"
#include "sim/base/result.h"

namespace soapbox::calib {

struct SampleHeader {
  Processor processor;
  std::string library;     // "oneDNN 2.6.3"
  std::string version;     // of this program
  std::string started_at;  // ISO 8601, UTC
  uint64_t seed = 0;
  bool quick = false;
  double dispatch_s = 0;  // from the end of one task of a real run to the start of the next
  // Of a GPU, which `processor` then describes; 0 for cores.
  int64_t sm_count = 0;
  double launched_dispatch_s = 0;  // the same where the host launches; dispatch_s: replayed
  double waited_dispatch_s = 0;    // and waits for each; 0: not measured
  // Of its node, where that is known (calib/backend/node_topology.h).
  std::string topology;                // as NCCL writes it
  std::vector<std::string> relations;  // of the first GPU to each: "X", "NV18", "PIX"
};

struct Sample {
  ProbePoint point;
  Measurement measured;
  double at_s = 0;      // since the session began
  bool anchor = false;  // measured again and again, to see drift
};

struct SampleFile {
  SampleHeader header;
  std::vector<Sample> samples;  // as measured; anchors are not among them
  std::vector<Sample> anchors;
};

// With a line feed at the end.
std::string to_line(const SampleHeader& header);
std::string to_line(const Sample& sample);

// A last line without its line feed is what an ended run was writing, and is left out. Errors as in
// every input: file:line, what is wrong.
Result<SampleFile> parse_samples(std::string_view text, const std::string& file);

}  // namespace soapbox::calib
