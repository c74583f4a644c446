// The GPU as a device that keeps time by itself (calib/backend/kernel_module.h).
//
// A run's time is from the start of its first activity to the end of its last one, gaps between
// its own kernels included, by CUPTI's records. Runs are separated by kernels with a name of their
// own: a flush of the second-level cache comes before a cold run, a mark before a hot one. The host
// is ahead of the device by then, so that launches cost nothing.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "calib/backend/nvml.h"
#include "calib/cuda/gpu.h"
#include "calib/cuda/launches.h"
#include "calib/cuda/trace.h"

namespace soapbox::calib::cuda {

// The activities between two separators.
struct Segment {
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  size_t count = 0;  // of what counts
};
// One for each mark: what follows it, up to the next separator. REQUIRES: sorted by start.
std::vector<Segment> split_at_marks(const std::vector<Activity>& activities,
                                    Launches::Counts counts);
// `counts[i]` activities each, one after the other; other than separators. Throws Failure where
// their number is not the sum.
std::vector<Segment> split_by_counts(const std::vector<Activity>& activities,
                                     const std::vector<size_t>& counts);

// A run of `makespan_ns` in which tasks lie as their segments do, from the first one's start; a
// task without activities is a moment.
DeviceRun stretched(const std::vector<Segment>& segments, int64_t makespan_ns);

class Device : public KernelDevice {
 public:
  Device(const Gpu& gpu, Trace& trace);

  DeviceDescription description() const override;
  Status time(PreparedKernel& kernel, size_t pairs, TimedRuns& out) override;
  Result<double> replay_seconds(PreparedKernel& kernel) override;
  Result<std::vector<double>> launch_seconds(std::span<PreparedKernel* const> kernels) override;
  Result<DispatchTimes> dispatch_times() override;
  double clock_mhz() const override;
  Result<std::unique_ptr<LoadedTasks>> load(std::vector<DeviceTask> tasks,
                                            LaunchMode mode) override;

 private:
  const Gpu& gpu_;
  Trace& trace_;
  std::optional<Nvml> nvml_;  // where there is one
  std::string pci_address_;
};

}  // namespace soapbox::calib::cuda
