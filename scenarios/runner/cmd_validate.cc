// soapbox validate: published training runs beside what the simulator predicts of them.
#include <algorithm>
#include <array>
#include <map>
#include <thread>

#include "results/store.h"
#include "results/validation.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/interrupt.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/progress.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/run_predictor.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "scenarios/runner/workers.h"
#include "sim/base/csv.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kMostJobs = 1024;
constexpr size_t kWorstShown = 10;
constexpr double kLeastPercent = 1e-9;
constexpr double kMostPercent = 1e6;
constexpr std::array<std::string_view, 3> kSplits = {"calibrate", "test", "all"};
constexpr std::array<std::string_view, 3> kTrustGrades = {"A", "B", "C"};

struct Choice {
  std::string split = "all";
  char trust = 'C';  // and better
  std::optional<double> max_median_error;
};

// A name of scenarios/validation, or a file.
Result<std::string> runs_path(const ScenarioFolder& scenarios, const Arguments& arguments) {
  const Result<std::string> runs = arguments.required("runs");
  if (!runs) return runs.error();
  return scenarios.path(kRunTables, *runs);
}

// Which runs may be fitted: those that the suite marks so.
Result<std::map<std::string, std::string>> read_splits(const ScenarioFolder& scenarios) {
  constexpr std::array<std::string_view, 3> kColumns = {"id", "split", "aspect"};
  const Result<std::string> path = scenarios.path(kRunTables, "suite");
  if (!path) return path.error();
  const Result<CsvTable> csv = CsvTable::read(*path, kColumns);
  if (!csv) return csv.error();
  std::map<std::string, std::string> splits;
  for (size_t row = 0; row < csv->row_count(); ++row) {
    const std::string& split = csv->text(row, 1);
    if (split != "calibrate" && split != "test") {
      return csv->error(row, 1, "must be calibrate or test");
    }
    splits.emplace(csv->text(row, 0), split);
  }
  return splits;
}

Result<Choice> read_choice(const Arguments& arguments) {
  Choice choice;
  const Result<std::string> split = arguments.word("split", "all", kSplits);
  if (!split) return split.error();
  choice.split = *split;
  const Result<std::string> trust = arguments.word("trust", "C", kTrustGrades);
  if (!trust) return trust.error();
  choice.trust = trust->front();
  const auto limit = arguments.number("max-median-error", kLeastPercent, kMostPercent);
  if (!limit) return limit.error();
  choice.max_median_error = *limit;
  return choice;
}

// Runs that differ in their plan alone.
std::string sweep_of(const MeasuredRun& run) {
  const auto text = [](const auto& value) { return value ? str_cat(*value) : std::string("?"); };
  return str_cat(run.group, "|", run.model, "|", run.gpu, "|", text(run.num_gpus), "|",
                 text(run.seq_len), "|", text(run.layers), "|", run.precision, "|",
                 text(run.global_batch));
}

results::ValidationRow row_of(const MeasuredRun& run, const RunPrediction& prediction) {
  results::ValidationRow row;
  row.run = run.id;
  row.group = run.group;
  row.trust = run.trust;
  row.sweep = sweep_of(run);
  row.measured_step_time_s = run.step_time_s();
  if (run.peak_mem_gb) {
    row.measured_peak_memory_bytes = std::llround(*run.peak_mem_gb * double(gibibytes(1).count()));
  }
  row.ran_out_of_memory = run.ran_out_of_memory();
  if (prediction.step_time) {
    row.predicted_step_time_s = prediction.step_time->seconds();
    row.low_s = prediction.low.seconds();
    row.high_s = prediction.high.seconds();
    row.feasible = prediction.feasible;
  }
  if (prediction.peak_memory) row.predicted_peak_memory_bytes = prediction.peak_memory->count();
  row.assumptions = prediction.assumptions;
  row.reason = prediction.reason;
  return row;
}

struct Work {
  std::vector<MeasuredRun> runs;
  std::vector<int64_t> lines;
  std::vector<std::string> splits;
};

Work chosen_runs(std::vector<MeasuredRun> runs, const std::map<std::string, std::string>& splits,
                 const Choice& choice) {
  Work work;
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto known = splits.find(runs[i].id);
    const std::string split = known == splits.end() ? "test" : known->second;
    if (choice.split != "all" && choice.split != split) continue;
    // Whatever is no grade of these is not trusted.
    const bool graded = runs[i].trust == "A" || runs[i].trust == "B";
    if ((graded ? runs[i].trust.front() : 'C') > choice.trust) continue;
    work.runs.push_back(std::move(runs[i]));
    work.lines.push_back(static_cast<int64_t>(i) + 1);
    work.splits.push_back(split);
  }
  return work;
}

Result<std::vector<results::ValidationRow>> predict_all(const RunPredictor& predictor,
                                                        const Work& work, size_t jobs,
                                                        const Console& console) {
  const Interrupt interrupt;
  Progress progress(console, work.runs.size());
  std::vector<RunPrediction> predictions(work.runs.size());
  std::vector<results::ValidationRow> rows;
  const Status done =
      run_in_order({.count = work.runs.size(),
                    .threads = jobs,
                    .work = [&](size_t i) { predictions[i] = predictor.predict(work.runs[i]); },
                    .finish = [&](size_t i) -> Status {
                      if (interrupt.requested())
                        return Error{ErrorCode::kInterrupted, "interrupted", {}};
                      rows.push_back(row_of(work.runs[i], predictions[i]));
                      predictions[i] = {};
                      rows.back().line = work.lines[i];
                      rows.back().split = work.splits[i];
                      progress.at(i + 1, work.runs[i].id);
                      return ok();
                    },
                    .wait = [] {}});
  if (!done) return done.error();
  return rows;
}

std::string report(const std::vector<results::ValidationRow>& rows) {
  const std::vector<results::ValidationSummary> summaries = results::summarise(rows);
  const results::Format format = results::Format::kTable;
  std::string text = "Step times: errors of predictions against what was measured\n";
  text += results::render(results::step_time_table(summaries), format);
  const results::Table memory = results::memory_table(summaries);
  if (!memory.rows().empty()) {
    text += "\nPeak memory, and runs that did not fit\n" + results::render(memory, format);
  }
  const results::Table worst = results::worst_table(rows, kWorstShown);
  if (!worst.rows().empty()) {
    text += "\nFurthest off\n" + results::render(worst, format);
  }
  return text;
}

// Exit code 6 where the median of all runs is above what is allowed.
ExitCode verdict(const std::vector<results::ValidationRow>& rows, const Choice& choice,
                 const Console& console) {
  if (!choice.max_median_error) return ExitCode::kOk;
  const std::vector<results::ValidationSummary> summaries = results::summarise(rows);
  const results::ValidationSummary& all = summaries.back();
  if (all.step_time && all.step_time->median * 100 <= *choice.max_median_error) {
    return ExitCode::kOk;
  }
  console.say(str_cat("validate: the median error is ",
                      all.step_time ? str_cat(all.step_time->median * 100, " %") : "not known",
                      ", allowed: ", *choice.max_median_error, " %"));
  return ExitCode::kRegression;
}

Result<CommandResult> run(const Arguments& arguments, const Console& console) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const Result<Choice> choice = read_choice(arguments);
  if (!choice) return choice.error();
  const auto jobs = arguments.whole_number("jobs", 1, kMostJobs);
  if (!jobs) return jobs.error();
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  const Result<std::string> path = runs_path(*scenarios, arguments);
  if (!path) return path.error();
  const Result<std::string> text = read_text_file(*path);
  if (!text) return text.error();
  Result<MeasuredRuns> table = parse_measured_runs(*text, *path);
  if (!table) return table.error();
  for (const std::string& message : table->messages) console.say(str_cat(*path, ": ", message));
  const Result<std::map<std::string, std::string>> splits = read_splits(*scenarios);
  if (!splits) return splits.error();
  const Work work = chosen_runs(std::move(table->runs), *splits, *choice);
  if (work.runs.empty())
    return bad_input(str_cat(*path, ": no run is left by --split and --trust"));
  const Result<RunPredictor> predictor = RunPredictor::make(*scenarios);
  if (!predictor) return predictor.error();
  const size_t threads =
      *jobs ? static_cast<size_t>(**jobs) : std::max(1u, std::thread::hardware_concurrency());
  Result<std::vector<results::ValidationRow>> rows =
      predict_all(*predictor, work, threads, console);
  if (!rows) return rows.error();
  const std::string dataset = hex(hash_bytes(*text));
  for (results::ValidationRow& row : *rows) {
    row.dataset = dataset;
    row.code = predictor->fingerprint();
  }
  if (const std::optional<std::string> db = arguments.text("db")) {
    Result<results::Store> store = results::Store::open(*db);
    if (!store) return store.error();
    const Status stored = store->put_validations(*rows);
    if (!stored) return stored.error();
  }
  const bool for_people = *format == results::Format::kTable;
  return CommandResult{
      for_people ? report(*rows) : results::render(results::record_table(*rows), *format),
      verdict(*rows, *choice, console)};
}

}  // namespace

CommandRow validate_command() {
  Syntax syntax{
      .command = "validate",
      .options = {{"runs", "NAME|FILE",
                   "a table of published runs: a name or a file in the format of "
                   "scenarios/validation"},
                  {"split", "NAME",
                   "only runs that may be fitted (calibrate), or all others (test); default all"},
                  {"trust", "GRADE", "only runs of this grade and better: A, B or C (default)"},
                  {"max-median-error", "PERCENT",
                   "exit with 6 where the median error of step times is above it"},
                  {"jobs", "N", "runs at a time (default: one per processor)"},
                  {"db", "FILE", "store every run with its prediction there, too"},
                  format_option()},
      .details =
          "table prints errors for each group of runs and for all; the other formats print one "
          "record\nfor each run, predicted or not: what was assumed where the table is silent, and "
          "the reason\nwhere there is no prediction. Nothing is fitted here."};
  return {"validate", "Compares predictions with published training runs.", std::move(syntax), run};
}

}  // namespace soapbox::runner
