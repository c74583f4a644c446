// soapbox race: an experiment file's whole run matrix into one database, and its table.
#include <filesystem>
#include <thread>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/race.h"
#include "scenarios/runner/record.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kMostJobs = 1024;

size_t default_jobs() {
  return std::max(1u, std::thread::hardware_concurrency());
}

// What is stored already, without making a database.
Status look_up_stored(Race& race, const std::string& path) {
  std::error_code ignored;  // opening it will tell
  if (!std::filesystem::exists(path, ignored)) return ok();
  Result<results::Store> store = results::Store::open(path, results::OpenMode::kRead);
  if (!store) return store.error();
  return find_stored(race, *store);
}

Status run_into(const std::string& path, const Experiment& experiment, Race& race, size_t jobs,
                const Console& console) {
  const Interrupt interrupt;
  Result<results::Store> store = results::Store::open(path);
  if (!store) return store.error();
  Status described =
      store->put_study({experiment.name, experiment.text, utc_now(), std::string(kVersion)});
  if (!described) return described;
  Status referred = store->put_references(experiment.published);
  if (!referred) return referred;
  Status found = find_stored(race, *store);
  if (!found) return found;
  return run_race(race, *store, jobs, interrupt, console);
}

// The table is the result; what is not a row of it goes to stdout only where people read it.
CommandResult present(const results::Table& table, const std::string& summary,
                      results::Format format, const Console& console) {
  CommandResult result{results::render(table, format)};
  if (format == results::Format::kTable) {
    result.output += str_cat("\n", summary);
  } else {
    console.say(std::string_view(summary).substr(0, summary.size() - 1));
  }
  return result;
}

Result<CommandResult> run(const Arguments& arguments, const Console& console) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const auto jobs_option = arguments.whole_number("jobs", 1, kMostJobs);
  if (!jobs_option) return jobs_option.error();
  const size_t jobs = *jobs_option ? static_cast<size_t>(**jobs_option) : default_jobs();
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  const Result<std::string> file = scenarios->path(kExperimentFiles, arguments.positional()[0]);
  if (!file) return file.error();
  const Result<Experiment> experiment = read_experiment(*scenarios, *file);
  if (!experiment) return experiment.error();
  const std::string path = arguments.text_or("db", str_cat(experiment->name, ".db"));
  Result<Race> race = Race::prepare(*scenarios, *experiment);
  if (!race) return race.error();
  if (arguments.has("dry-run")) {
    const Status found = look_up_stored(*race, path);
    if (!found) return found.error();
    std::string summary;
    const results::Table plan = race_plan(*race, jobs, summary);
    return present(plan, summary, *format, console);
  }
  const Status status = run_into(path, *experiment, *race, jobs, console);
  if (!status) return status.error();
  const RaceReport report = race_report(*race);
  CommandResult result =
      present(report.table, str_cat(report.summary, "database: ", path, "\n"), *format, console);
  if (report.failed > 0) result.exit_code = ExitCode::kSomeRunsFailed;
  return result;
}

}  // namespace

CommandRow race_command() {
  Syntax syntax{.command = "race",
                .positional = "NAME|EXPERIMENT.toml",
                .min_positional = 1,
                .max_positional = 1,
                .options = {{"db", "FILE", "the database (default NAME.db, NAME as in the file)"},
                            {"jobs", "N", "runs at a time (default: one per processor)"},
                            {"dry-run", "", "print the run matrix and an estimate, run nothing"},
                            format_option()},
                .details =
                    "Runs that the database has already are not run again: after Ctrl-C the "
                    "same\ncommand does the rest. The rows do not depend on --jobs."};
  return {"race", "Runs every method of an experiment on every instance, and compares them.",
          std::move(syntax), run};
}

}  // namespace soapbox::runner
