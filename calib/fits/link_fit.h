// Piecewise alpha-beta: the time of a transfer of n bytes is alpha_i + n beta_i on the i-th range
// of sizes, at most three ranges (libraries change their protocol, and bandwidth saturates).
//
// Least squares of relative errors (weights 1/t^2; unweighted, the largest sizes would own alpha).
// Ranges are cut between measured sizes so that the sum is least, by dynamic programming: O(k n^3)
// for n sizes, which are some tens. Another range is taken only while it lowers the mean error by
// more than half a percent of the time. alpha and beta are not negative. A protocol's switch may be
// a jump, upwards or down, but no prediction falls below one of a smaller size.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace soapbox::calib {

struct TimedTransfer {
  int64_t bytes = 0;
  double seconds = 0;
};

struct LinkSegment {
  int64_t most_bytes = 0;  // the last one goes on for ever
  double alpha_s = 0;
  double beta_s = 0;  // per byte
};

struct LinkFit {
  std::vector<LinkSegment> segments;
  double mape = 0;  // mean and greatest relative error of the fitted points
  double worst = 0;
  double left_out_mape = 0;  // of each point, from a fit without it
  double seconds(int64_t bytes) const;
};

// REQUIRES: at least two different sizes.
LinkFit fit_link(std::span<const TimedTransfer> transfers, size_t most_segments = 3);

}  // namespace soapbox::calib
