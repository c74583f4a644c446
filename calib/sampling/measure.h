// Timing prepared kernels.
//
// CPU time of the thread, because other programs' work enters wall time and not this; on a device
// that keeps time by itself, that. Every sample is taken twice: cold, after its buffers were taken
// out of all caches, as inside an iteration, whose activations are many times the caches; hot,
// directly after. Sampling ends when the 95 % interval of the cold median, by bootstrap, is narrow
// enough, or at a limit.
//
// On cores kernels take turns: between two runs of one the others run, as in an iteration, where
// each finds its code, its branches and the translations of its addresses gone. A kernel that runs
// again and again keeps them: it is 3 to 5 us faster, and small ones by a tenth to a third.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "calib/probes/probe.h"
#include "sim/base/rng.h"

namespace soapbox::calib {

// CLOCK_THREAD_CPUTIME_ID, nanoseconds.
int64_t thread_cpu_ns();

double median(std::span<const double> values);  // REQUIRES: at least one
// Median of the distances from the median.
double median_deviation(std::span<const double> values);

struct MedianInterval {
  double low = 0;
  double high = 0;
};
// The 95 % interval of the median: 200 resamples with replacement, drawn from `rng`.
MedianInterval median_interval(std::span<const double> values, Rng& rng);

struct MeasureSpec {
  size_t least_samples = 10;
  size_t most_samples = 100;
  double most_seconds = 0.2;     // of CPU time, for one kernel in the mean
  double interval_share = 0.01;  // half of the interval, as a share of the median
};

struct Measurement {
  std::vector<double> cold_s;
  std::vector<double> hot_s;
  // Of the samples, the share whose wall time exceeds their CPU time by more than 5 %: another
  // program was on the core, and may have changed its caches.
  double disturbed = 0;
  // On a device that keeps time by itself: the second timer's figure and the host's
  // (kernel_module.h; 0: none), and its clock directly after. `disturbed` is 1 where the two timers
  // are more than 10 % and 1.5 us apart.
  double replay_s = 0;
  double launch_s = 0;
  double clock_mhz = 0;
};

class Measurer {
 public:
  Measurer(const MeasureSpec& spec, uint64_t seed);
  // In turns, on this thread. REQUIRES: at least one.
  std::vector<Measurement> measure(std::span<PreparedKernel* const> kernels);
  // All but launch_s, which is measured of several kernels.
  Result<Measurement> measure(PreparedKernel& kernel, KernelDevice& device);
  // A sample is the mean of a row of collectives that is long beside what begins and ends it; all
  // are cold_s, and no row counts before the group has done a few.
  Result<Measurement> measure(const Collective& collective, CollectiveGroup& group);

 private:
  bool is_narrow(const Measurement& so_far);
  bool all_narrow(std::span<const Measurement> so_far);

  MeasureSpec spec_;
  Rng rng_;
  double clock_s_;  // what reading the clock twice takes
};

}  // namespace soapbox::calib
