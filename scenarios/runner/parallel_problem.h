// From names and files to what a Transformer plan is simulated on: stack, cluster, kernel and
// collective costs, owned together.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/model_files/hf_config.h"
#include "scenarios/runner/options.h"
#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/result.h"
#include "sim/parallel/simulate_parallel.h"
#include "sim/plan/parallel_plan_json.h"

namespace soapbox::runner {

struct ParallelProblemSpec {
  std::string model;               // a Transformer's name, a config.json or its folder
  std::string cluster;             // a name of scenarios/clusters, or a file
  std::optional<int64_t> devices;  // the first so many; absent: all
  std::optional<int64_t> seq_len;  // tokens of a sample; absent: the model's own
  bool run_factors = true;         // the device's; else kernels run as they do alone
};

class LoadedParallelProblem {
 public:
  static Result<std::unique_ptr<const LoadedParallelProblem>> load(const ScenarioFolder& scenarios,
                                                                   const ParallelProblemSpec& spec);

  const ParallelProblem& problem() const { return problem_; }
  const std::vector<std::string>& notes() const { return notes_; }  // of the model's file

 private:
  LoadedParallelProblem(LoadedTransformer model, Cluster cluster,
                        IdVector<HardwareId, KernelCosts> kernels, GroupCosts groups,
                        const RunFactors& factors);
  Transformer model_;
  std::vector<std::string> notes_;
  Cluster cluster_;
  IdVector<HardwareId, KernelCosts> kernels_;
  GroupCosts groups_;
  ParallelProblem problem_;  // refers to the members above
};

// What --model, --cluster, --devices, --seq-len and --run-factors mean; says the notes of the
// model's file. A plan's file says the sequence length where the command line does not.
Result<std::unique_ptr<const LoadedParallelProblem>> load_parallel_problem(
    const Arguments& arguments, const Console& console, std::optional<int64_t> seq_len = {});

Result<std::unique_ptr<const LoadedParallelProblem>> load_parallel_problem(
    const ParallelProblemSpec& spec, const Console& console);

ParallelPlanHeader plan_header(const ParallelProblem& problem);

}  // namespace soapbox::runner
