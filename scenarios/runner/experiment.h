// An experiment: which problems, which methods, and the published figure to compare with. Read from
// TOML; the comment in scenarios/experiments/quickstart.toml shows every key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/rows.h"
#include "scenarios/runner/execution.h"
#include "scenarios/runner/planning/planner_search.h"
#include "scenarios/runner/problem.h"
#include "sim/base/result.h"

namespace soapbox::runner {

struct Contest {
  ProblemSpec problem;
  std::optional<uint64_t> budget;  // for every searcher here, instead of its own
  SourcePosition where;            // in the experiment file
};

// A contestant that is a planner: `method.name` names it.
struct PlannerMethod {
  bool own_cost_model = false;
  std::optional<uint64_t> oracle;  // candidates drawn, where its choice is held against them
};

struct Contestant {
  MethodSpec method;
  std::optional<PlannerMethod> planner;
  std::string label;            // as the table shows it
  std::vector<uint64_t> seeds;  // one run each; {0} for a recipe
  std::string reference;        // the strategy of the published figure; empty: not compared
};

struct Experiment {
  std::string name;
  std::string text;                              // the file as read, for the record
  std::vector<results::ReferenceRow> published;  // empty: nothing to compare with
  std::string baseline;                          // the label that speed-ups refer to; empty: none
  std::vector<Contest> contests;  // models x clusters x devices, in the order written
  std::vector<Contestant> contestants;
};

// Everything is checked before anything runs: keys, names, numbers; errors carry file:line:column.
Result<Experiment> read_experiment(const ScenarioFolder& scenarios, const std::string& path);

struct PlannedRun {
  size_t contest = 0;
  size_t contestant = 0;
  uint64_t seed = 0;
};
// Contest by contest, in each every contestant with every seed.
std::vector<PlannedRun> expand(const Experiment& experiment);
// Whether its contestants are planners, whose models are Transformers: all of them are, or none.
bool is_of_planners(const Experiment& experiment);
// What a planned run of planners searches.
Result<PlannerSearchSpec> planner_spec(const Experiment& experiment, const PlannedRun& run);
// What a planned run executes: the contestant's method with the contest's budget.
MethodSpec method_of(const Experiment& experiment, const PlannedRun& run);

}  // namespace soapbox::runner
