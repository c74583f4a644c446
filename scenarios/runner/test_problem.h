// For tests: a small real problem.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "scenarios/runner/problem.h"

namespace soapbox::runner {

inline std::unique_ptr<const LoadedProblem> load_for_test(const ProblemSpec& spec) {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  SOAPBOX_CHECK(scenarios.has_value(), "the test runs in the build folder");
  Result<std::unique_ptr<const LoadedProblem>> loaded = LoadedProblem::load(*scenarios, spec);
  SOAPBOX_CHECK(loaded.has_value(), "a problem of the project");
  return *std::move(loaded);
}

inline ProblemSpec lenet_on_four() {
  ProblemSpec spec;
  spec.model = "lenet";
  spec.cluster = "p100_4x4";
  spec.devices = 4;
  return spec;
}

}  // namespace soapbox::runner
