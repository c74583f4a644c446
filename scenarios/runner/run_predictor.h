// RunPredictor: what a published training run should have taken, from its row alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/runner/measured_runs/measured_run.h"
#include "scenarios/runner/run_factors_file.h"
#include "scenarios/runner/scenario_files/hardware_file.h"
#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/cost/kernel_profile.h"

namespace soapbox::runner {

struct RunPrediction {
  // Of one step, whether it fits in memory or not; absent: not predicted.
  std::optional<Duration> step_time;
  Duration low;  // the 90 % interval
  Duration high;
  std::optional<Bytes> peak_memory;  // of tensors on the fullest device, or on the one measured
  bool feasible = false;
  std::vector<std::string> assumptions;
  std::string reason;  // why there is no prediction, or what does not fit
};

// Immutable: threads may share it.
class RunPredictor {
 public:
  static Result<RunPredictor> make(const ScenarioFolder& scenarios);

  // A hash over the program and the data that it predicts with.
  const std::string& fingerprint() const { return fingerprint_; }
  // Never fails: what cannot be predicted says why.
  RunPrediction predict(const MeasuredRun& run) const;

 private:
  RunPredictor(const ScenarioFolder& scenarios, HardwareCatalogue catalogue,
               std::map<std::string, KernelProfile> kernels, RunFactorTable factors,
               std::string fingerprint)
      : scenarios_(scenarios),
        catalogue_(std::move(catalogue)),
        kernels_(std::move(kernels)),
        factors_(std::move(factors)),
        fingerprint_(std::move(fingerprint)) {}

  Result<RunPrediction> try_predict(const MeasuredRun& run, std::vector<std::string>& said) const;

  ScenarioFolder scenarios_;
  HardwareCatalogue catalogue_;
  std::map<std::string, KernelProfile> kernels_;
  RunFactorTable factors_;
  std::string fingerprint_;
};

}  // namespace soapbox::runner
