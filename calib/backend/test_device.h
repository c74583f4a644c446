// For tests: a device of which one can only ask what it is.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "calib/backend/kernel_module.h"

namespace soapbox::calib {

class NoDevice : public KernelDevice {
 public:
  explicit NoDevice(int64_t number = 0) : number_(number) {}
  DeviceDescription description() const override { return {.number = number_}; }
  Status time(PreparedKernel&, size_t, TimedRuns&) override { return ok(); }
  Result<double> replay_seconds(PreparedKernel&) override { return 0.0; }
  Result<std::vector<double>> launch_seconds(std::span<PreparedKernel* const>) override {
    return std::vector<double>();
  }
  Result<DispatchTimes> dispatch_times() override { return DispatchTimes{}; }
  double clock_mhz() const override { return 0; }
  Result<std::unique_ptr<LoadedTasks>> load(std::vector<DeviceTask>, LaunchMode) override {
    return Error{ErrorCode::kUsage, "no device", {}};
  }

 private:
  int64_t number_;
};

}  // namespace soapbox::calib
