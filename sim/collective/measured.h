// Collective times from measurements: a table, and the alpha-beta segments that describe it.
//
// A library switches protocol and algorithm with the size, so one pair (alpha, beta) does not do:
// at 1 MiB eight A100 reach a tenth of their bandwidth. The model is a polyline-like function,
//     time(S) = max(alpha_i + beta_i S, time at the end of segment i - 1)   for S in segment i,
// which never falls. Of all ways to cut the sizes into so many segments the one with the smallest
// sum of squared relative errors, ((alpha + beta S - t) / t)^2 with alpha, beta >= 0, is found by
// dynamic programming: O(m^3 + k m^2) for m sizes and k segments.
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
  // `times`: of one collective among the same ranks. As many segments as asked for, or fewer where
  // there are less than two sizes for each. Refuses no times, a size twice, and sizes or times that
  // are not positive. REQUIRES: segments > 0.
  static Result<MeasuredCollective> fit(std::vector<MeasuredTime> times, size_t segments);
  // As they were written down. Refuses none, and sizes that do not grow.
  static Result<MeasuredCollective> make(std::vector<AlphaBetaSegment> segments);

  // By the segments; below the first and above the last size as these continue.
  double seconds(double bytes) const;
  Duration time(Bytes bytes) const { return from_seconds(seconds(bytes.as_double())); }
  const std::vector<AlphaBetaSegment>& segments() const { return segments_; }

 private:
  std::vector<AlphaBetaSegment> segments_;
  std::vector<double> starts_s_;  // the least time of each segment: that of the end of the former
};

// |predicted / measured - 1|, the mean over times.
double mean_error(const MeasuredCollective& measured, std::span<const MeasuredTime> times);

// Rows `op,ranks,bytes,time_us,source` of one collective; time in microseconds, sizes as in
// collective.h. Fails where a row is malformed, or none is of this collective and ranks.
Result<std::vector<MeasuredTime>> parse_measured_times(std::string_view text,
                                                       const std::string& file, CollectiveOp op,
                                                       uint32_t ranks);
Result<std::vector<MeasuredTime>> read_measured_times(const std::string& path, CollectiveOp op,
                                                      uint32_t ranks);

}  // namespace soapbox
