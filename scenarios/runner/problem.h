// From names and files to what is simulated: model, cluster and costs, owned together.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/model_files/model_file.h"
#include "scenarios/runner/options.h"
#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/result.h"
#include "sim/simulate/simulate.h"

namespace soapbox::runner {

struct ProblemSpec {
  std::string model;               // a name of the model table or of scenarios/models, or a file
  std::string cluster;             // a name of scenarios/clusters, or a file
  std::optional<int64_t> devices;  // the first so many; absent: all
  std::optional<int64_t> batch;    // global; absent: the model's batch per device x devices
  std::optional<int64_t> seq_len = {};  // tokens of a Transformer's sample; absent: its own
  SimulationOptions simulation = {};
};

class LoadedProblem {
 public:
  static Result<std::unique_ptr<const LoadedProblem>> load(const ScenarioFolder& scenarios,
                                                           const ProblemSpec& spec);

  const Problem& problem() const { return problem_; }
  const Model& model() const { return model_; }
  const Cluster& cluster() const { return cluster_; }
  const Costs& costs() const { return costs_; }
  // A hash over everything that the simulator reads: two problems with the same fingerprint give
  // every plan the same outcome.
  const std::string& fingerprint() const { return fingerprint_; }
  const std::vector<std::string>& notes() const { return notes_; }  // of the model's file

 private:
  LoadedProblem(LoadedModel model, Cluster cluster, Costs costs, SimulationOptions options);
  Model model_;
  Cluster cluster_;
  Costs costs_;
  Problem problem_;  // refers to the three above
  std::string fingerprint_;
  std::vector<std::string> notes_;
};

// Where the program's clusters, hardware and profiles are.
Result<ScenarioFolder> find_scenarios();

// What a command loads, from find_scenarios(); says the notes of the model's file.
Result<std::unique_ptr<const LoadedProblem>> load_problem(const ProblemSpec& spec,
                                                          const Console& console);
void say_notes(const Console& console, const std::string& model,
               const std::vector<std::string>& notes);

// The options that name a problem, shared by the commands that need one.
std::vector<Option> problem_options();
Result<ProblemSpec> read_problem_options(const Arguments& arguments);
Result<std::optional<int64_t>> read_devices(const Arguments& arguments);
// How gradients are combined; absent: the plan's or the method's own way.
Option sync_option();
Result<std::optional<SyncMode>> read_sync(const Arguments& arguments);

}  // namespace soapbox::runner
