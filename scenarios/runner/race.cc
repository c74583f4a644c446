#include "scenarios/runner/race.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <map>

#include "results/reference.h"
#include "scenarios/runner/planning/planner_run.h"
#include "scenarios/runner/progress.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/workers.h"
#include "sim/base/check.h"
#include "sim/base/provenance.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

using results::Cell;

const Contestant& contestant_of(const Race& race, const RaceEntry& entry) {
  return race.experiment.contestants[entry.planned.contestant];
}

std::string entry_name(const Race& race, const RaceEntry& entry) {
  std::string name = str_cat(entry.key.instance.model, " ", entry.key.instance.cluster, " ",
                             entry.key.instance.devices, " ", contestant_of(race, entry).label);
  if (contestant_of(race, entry).seeds.size() > 1) name += str_cat(" seed ", entry.key.seed);
  return name;
}

double per_device(const results::RunRow& row) {
  return row.best->samples_per_s / static_cast<double>(row.key.instance.devices);
}

std::string news(const Race& race, const RaceEntry& entry) {
  const results::RunRow& row = *entry.row;
  std::string text = str_cat(entry_name(race, entry), ": ");
  text += row.best ? str_cat(fixed(per_device(row), 1), " samples/s per device")
                   : str_cat(results::status_name(row.status), ", ", row.note);
  return entry.was_stored ? str_cat(text, " (stored before)") : text;
}

// A run that gave no result, as a row: it is part of the study and says why.
results::RunRow failed_row(const RaceEntry& entry, const Error& error,
                           const std::string& command_line) {
  results::RunRow row;
  row.key = entry.key;
  row.status = error.code == ErrorCode::kInfeasible ? results::RunStatus::kInfeasible
                                                    : results::RunStatus::kFailed;
  row.started_at = utc_now();
  row.command = command_line;
  row.version = kVersion;
  row.host = host_name();
  row.note = error.to_string();
  return row;
}

// What one race shares between its threads.
class Runner {
 public:
  Runner(Race& race, results::Store& store, const Interrupt& interrupt, const Console& console)
      : race_(race),
        store_(store),
        interrupt_(interrupt),
        console_(console),
        progress_(console, race.entries.size()) {}

  Status run(size_t jobs) {
    Status status = run_in_order({.count = race_.entries.size(),
                                  .threads = jobs,
                                  .work = [this](size_t i) { work(race_.entries[i]); },
                                  .finish = [this](size_t i) { return finish(i); },
                                  .wait = [this] { show_activity(); }});
    if (!status) return status;
    const auto missing = std::count_if(race_.entries.begin(), race_.entries.end(),
                                       [](const RaceEntry& entry) { return !entry.row; });
    if (missing == 0) return ok();
    return Error{
        ErrorCode::kInterrupted,
        str_cat("interrupted: ", race_.entries.size() - static_cast<size_t>(missing), " of ",
                race_.entries.size(), " runs are stored; the same command does the rest"),
        {}};
  }

 private:
  // On any thread. Leaves the row absent when the run was stopped.
  void work(RaceEntry& entry) {
    if (entry.was_stored || stopping()) return;
    if (is_of_planners(race_.experiment)) return plan(entry);
    const LoadedProblem& loaded = *race_.problems[entry.planned.contest];
    const MethodSpec method = method_of(race_.experiment, entry.planned);
    const Result<Execution> execution =
        execute(loaded, method, entry.planned.seed, [this](uint64_t, std::optional<Duration>) {
          evaluations_.fetch_add(1, std::memory_order_relaxed);
          return !stopping();
        });
    if (!execution) {
      if (stopping()) return;
      entry.row = failed_row(entry, execution.error(), console_.command_line);
    } else if (!execution->interrupted) {
      entry.row = run_row(loaded, entry.key, *execution, console_.command_line);
    }
  }

  void plan(RaceEntry& entry) {
    const auto start = std::chrono::steady_clock::now();
    const Result<PlannerSearchSpec> spec = planner_spec(race_.experiment, entry.planned);
    SOAPBOX_CHECK(spec.has_value(), "checked when it was read");
    const Result<PlannerSearchOutcome> outcome = planner_search(
        *spec, race_.planner_problems[entry.planned.contest], [this] { return stopping(); });
    if (outcome && outcome->interrupted) return;
    if (!outcome) {
      entry.row = failed_row(entry, outcome.error(), console_.command_line);
      return;
    }
    const double wall_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    entry.row = planner_run_row(*spec, entry.key, *outcome, wall_s, console_.command_line);
  }

  // On the one writing thread, in the order of the matrix.
  Status finish(size_t index) {
    RaceEntry& entry = race_.entries[index];
    if (!entry.row) return ok();
    if (!entry.was_stored) {
      const Result<results::PutOutcome> outcome = store_.put(*entry.row);
      if (!outcome || *outcome == results::PutOutcome::kDiffers) {
        stop_.store(true);
        return outcome ? Error{ErrorCode::kDatabase,
                               str_cat("the database has another result of the same run: ",
                                       entry_name(race_, entry)),
                               {}}
                       : outcome.error();
      }
    }
    progress_.finished(news(race_, entry));
    return ok();
  }

  void show_activity() {
    progress_.working_on(str_cat(evaluations_.load(std::memory_order_relaxed), " evaluations"));
  }
  bool stopping() const { return stop_.load(std::memory_order_relaxed) || interrupt_.requested(); }

  Race& race_;
  results::Store& store_;
  const Interrupt& interrupt_;
  const Console& console_;
  Progress progress_;
  std::atomic<uint64_t> evaluations_ = 0;
  std::atomic<bool> stop_ = false;
};

// Samples/s per device of the baseline in the same contest and with the same budget of seeds; the
// first seed's where it has several.
std::optional<double> baseline_of(const Race& race, const RaceEntry& entry) {
  for (const RaceEntry& other : race.entries) {
    if (other.planned.contest == entry.planned.contest && other.row && other.row->best &&
        contestant_of(race, other).label == race.experiment.baseline) {
      return per_device(*other.row);
    }
  }
  return std::nullopt;
}

std::optional<double> published(const Race& race, const RaceEntry& entry) {
  const std::string& strategy = contestant_of(race, entry).reference;
  if (strategy.empty()) return std::nullopt;
  const results::InstanceRow& instance = entry.key.instance;
  return results::find_reference(race.experiment.published, instance.model, instance.cluster,
                                 strategy, instance.devices, "samples_per_s_per_device");
}

// Errors against the published figure: the mean of the absolute ones and the worst, with its name.
struct ErrorSummary {
  size_t cells = 0;
  double sum = 0;
  double worst = 0;
  std::string worst_name;
  size_t uncalibrated = 0;  // cells whose devices are known by their datasheets alone

  void add(double percent, const std::string& name, std::string_view provenance) {
    ++cells;
    if (provenance.starts_with(to_string(Provenance::kDatasheet))) ++uncalibrated;
    sum += std::fabs(percent);
    if (std::fabs(percent) > std::fabs(worst)) {
      worst = percent;
      worst_name = name;
    }
  }
  std::string text(const std::string& what) const {
    return str_cat(
        what, ": mean |error| ", fixed(sum / static_cast<double>(cells), 1), " % over ", cells,
        cells == 1 ? " cell" : " cells", ", worst ", fixed(worst, 1), " % (", worst_name, ")",
        uncalibrated == 0 ? std::string()
                          : str_cat("; devices by their datasheets alone in ", uncalibrated),
        "\n");
  }
};

}  // namespace

namespace {

Result<Race> prepare_planners(const Experiment& experiment) {
  Race race{experiment, {}, {}, {}};
  for (const PlannedRun& planned : expand(experiment)) {
    const Result<PlannerSearchSpec> spec = planner_spec(experiment, planned);
    if (!spec) return spec.error();
    if (race.planner_problems.size() == planned.contest) {
      Result<std::unique_ptr<const PlannerProblem>> loaded = PlannerProblem::load(spec->problem);
      if (!loaded) {
        Error error = loaded.error();
        if (error.where.file.empty()) error.where = experiment.contests[planned.contest].where;
        return error;
      }
      race.planner_problems.push_back(*std::move(loaded));
    }
    results::RunKey key = planner_run_key(*spec, *race.planner_problems[planned.contest]);
    race.entries.push_back({planned, std::move(key), std::nullopt, false});
  }
  return race;
}

}  // namespace

Result<Race> Race::prepare(const ScenarioFolder& scenarios, const Experiment& experiment) {
  if (is_of_planners(experiment)) return prepare_planners(experiment);
  Race race{experiment, {}, {}, {}};
  for (const Contest& contest : experiment.contests) {
    Result<std::unique_ptr<const LoadedProblem>> loaded =
        LoadedProblem::load(scenarios, contest.problem);
    if (!loaded) {
      Error error = loaded.error();
      if (error.where.file.empty()) error.where = contest.where;
      return error;
    }
    race.problems.push_back(*std::move(loaded));
  }
  for (const PlannedRun& planned : expand(experiment)) {
    results::RunKey key =
        run_key(*race.problems[planned.contest], method_of(experiment, planned), planned.seed);
    race.entries.push_back({planned, std::move(key), std::nullopt, false});
  }
  return race;
}

Status find_stored(Race& race, results::Store& store) {
  for (RaceEntry& entry : race.entries) {
    Result<std::optional<results::RunRow>> row = store.find(results::identity(entry.key));
    if (!row) return row.error();
    if (!row->has_value() || !results::is_final((*row)->status)) continue;
    entry.row = **std::move(row);
    entry.was_stored = true;
  }
  return ok();
}

Status run_race(Race& race, results::Store& store, size_t jobs, const Interrupt& interrupt,
                const Console& console) {
  return Runner(race, store, interrupt, console).run(jobs);
}

results::Table race_plan(const Race& race, size_t jobs, std::string& summary) {
  results::Table table({{"model"},
                        {"cluster"},
                        {"devices"},
                        {"batch"},
                        {"method"},
                        {"seed"},
                        {"budget"},
                        {"stored"},
                        {"estimate_s", 1}});
  std::map<size_t, double> seconds_per_evaluation;  // by contest
  double total_s = 0;
  size_t stored = 0;
  // Only the planning itself would tell how long a planner takes.
  const bool is_known = !is_of_planners(race.experiment);
  for (const RaceEntry& entry : race.entries) {
    const auto [found, is_new] = seconds_per_evaluation.emplace(entry.planned.contest, 0.0);
    if (is_new && is_known) {
      found->second = time_one_evaluation(*race.problems[entry.planned.contest]);
    }
    std::optional<double> estimate_s = 0;
    if (!entry.was_stored) {
      estimate_s = found->second * static_cast<double>(std::max<uint64_t>(entry.key.budget, 1));
      if (!is_known) estimate_s.reset();
    }
    total_s += estimate_s.value_or(0);
    stored += entry.was_stored ? 1 : 0;
    table.add_row({entry.key.instance.model, entry.key.instance.cluster, entry.key.instance.devices,
                   entry.key.instance.batch, contestant_of(race, entry).label, entry.key.seed,
                   entry.key.budget, entry.was_stored, estimate_s});
  }
  const std::string time =
      is_known ? str_cat("about ",
                         fixed(total_s / static_cast<double>(std::max<size_t>(jobs, 1)), 0), " s")
               : "unknown time";
  summary = str_cat(race.entries.size(), " runs, ", stored, " stored already; ", time, " with ",
                    jobs, " jobs\n");
  return table;
}

RaceReport race_report(const Race& race) {
  const std::string speedup = race.experiment.baseline.empty()
                                  ? std::string("speedup")
                                  : str_cat("speedup_over_", race.experiment.baseline);
  RaceReport report{
      results::Table({{"model"},
                      {"cluster"},
                      {"devices"},
                      {"method"},
                      {"seed"},
                      {"samples_per_s_per_device", is_of_planners(race.experiment) ? 3 : 1},
                      {speedup, 2},
                      {"published", is_of_planners(race.experiment) ? 3 : 1},
                      {"error_percent", 1},
                      {"status"}}),
      "", 0};
  ErrorSummary all;
  std::map<std::string, ErrorSummary> by_method;
  for (const RaceEntry& entry : race.entries) {
    if (!entry.row) continue;
    const std::string& label = contestant_of(race, entry).label;
    const std::optional<double> reference = published(race, entry);
    const std::optional<double> baseline = baseline_of(race, entry);
    std::optional<double> value;
    if (entry.row->best) value = per_device(*entry.row);
    std::optional<double> error;
    if (value && reference) error = 100 * (*value - *reference) / *reference;
    for (ErrorSummary* summary : {&all, &by_method[label]}) {
      if (error) summary->add(*error, entry_name(race, entry), entry.row->provenance);
    }
    if (entry.row->status == results::RunStatus::kFailed) ++report.failed;
    report.table.add_row({entry.key.instance.model, entry.key.instance.cluster,
                          entry.key.instance.devices, label, entry.key.seed, value,
                          value && baseline ? std::optional(*value / *baseline) : std::nullopt,
                          reference, error, results::status_name(entry.row->status)});
  }
  for (const Contestant& contestant : race.experiment.contestants) {
    const auto found = by_method.find(contestant.label);
    if (found != by_method.end() && found->second.cells > 0)
      report.summary += found->second.text(contestant.label);
  }
  if (all.cells > 0) report.summary += all.text("all");
  return report;
}

}  // namespace soapbox::runner
