// Collective times from measurements: a table, and the alpha-beta segments that describe it.
//
// A library switches protocol and algorithm with the size, so one pair (alpha, beta) does not do:
// at 1 MiB eight A100 reach a tenth of their bandwidth. The model is a polyline-like function,
//     time(S) = max(alpha_i + beta_i S, time at the end of segment i - 1)   for S in segment i,
// which never falls. Segments are found from the smallest size on: each takes as many measurements
// as one line can describe within the tolerance. The line is the least-squares line of relative
// errors, sum ((alpha + beta S - t) / t)^2, with alpha, beta >= 0. O(m^2) for m sizes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/collective/algorithms.h"

namespace soapbox {

struct MeasuredTime {
  Bytes bytes;
  Duration time;
};

struct AlphaBetaSegment {
  Bytes last;  // the largest size measured in it
  double alpha_s = 0;
  double beta_s_per_byte = 0;
};

class MeasuredCollective {
 public:
  // `times`: of one collective among the same ranks. Refuses none, a size twice, and sizes or times
  // that are not positive. REQUIRES: tolerance > 0, e.g. 0.05.
  static Result<MeasuredCollective> fit(std::vector<MeasuredTime> times, double tolerance);

  // By the segments; below the first and above the last size as these continue.
  Duration time(Bytes bytes) const;
  const std::vector<AlphaBetaSegment>& segments() const { return segments_; }
  // Between the segments and the measurements, relative.
  double worst_error() const { return worst_error_; }

 private:
  std::vector<AlphaBetaSegment> segments_;
  std::vector<double> starts_s_;  // the least time of each segment: that of the end of the former
  double worst_error_ = 0;
};

// Rows `op,ranks,bytes,time_us,source` of one collective; time in microseconds, sizes as in
// collective.h. Fails where a row is malformed, or none is of this collective and ranks.
Result<std::vector<MeasuredTime>> parse_measured_times(std::string_view text,
                                                       const std::string& file, CollectiveOp op,
                                                       uint32_t ranks);
Result<std::vector<MeasuredTime>> read_measured_times(const std::string& path, CollectiveOp op,
                                                      uint32_t ranks);

}  // namespace soapbox
