// A race: all runs of an experiment, in parallel, into one database, and how they compare with the
// published figure.
//
// The database gets the rows in the order of the run matrix whatever the number of threads, and
// only whole rows. What is stored already is not run again, so a race that was stopped goes on
// where it was.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/rows.h"
#include "results/store.h"
#include "results/table.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/experiment.h"
#include "scenarios/runner/interrupt.h"
#include "scenarios/runner/planning/planner_problem.h"
#include "scenarios/runner/problem.h"

namespace soapbox::runner {

struct RaceEntry {
  PlannedRun planned;
  results::RunKey key;
  std::optional<results::RunRow> row;  // absent: not run yet
  bool was_stored = false;             // before this race
};

struct Race {
  const Experiment& experiment;
  std::vector<std::unique_ptr<const LoadedProblem>> problems;           // one per contest, or
  std::vector<std::shared_ptr<const PlannerProblem>> planner_problems;  // of planners
  std::vector<RaceEntry> entries;                                       // the run matrix

  // Loads every problem, so that bad input is refused before anything runs.
  static Result<Race> prepare(const ScenarioFolder& scenarios, const Experiment& experiment);
};

// Fills in the rows that `store` has already.
Status find_stored(Race& race, results::Store& store);

// Runs what is not stored, on `jobs` threads, and stores it. An interruption is an error that says
// how to go on; whole runs stay stored.
Status run_race(Race& race, results::Store& store, size_t jobs, const Interrupt& interrupt,
                const Console& console);

// The run matrix with what is stored and how long the rest will take, from timing one simulation of
// every problem on this machine.
results::Table race_plan(const Race& race, size_t jobs, std::string& summary);

struct RaceReport {
  results::Table table;
  std::string summary;  // lines: the errors against the published figure
  size_t failed = 0;
};
RaceReport race_report(const Race& race);

}  // namespace soapbox::runner
