// Published runs beside their predictions, and how far these are off: per group of runs and in
// total.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "results/stats.h"
#include "results/table.h"

namespace soapbox::results {

struct ValidationRow {
  std::string dataset;  // hash of the table of runs
  int64_t line = 0;     // of the run in that table: 1 is the first run
  std::string code;     // fingerprint of everything that predicts
  std::string run;      // its id
  std::string group;
  std::string split;  // "calibrate" or "test"
  std::string trust;
  std::string sweep;  // runs that differ in their plan alone have the same
  std::optional<double> measured_step_time_s;
  std::optional<int64_t> measured_peak_memory_bytes;
  bool ran_out_of_memory = false;
  std::optional<double> predicted_step_time_s;
  std::optional<double> low_s;
  std::optional<double> high_s;
  std::optional<int64_t> predicted_peak_memory_bytes;
  std::optional<bool> feasible;  // absent: not predicted
  std::vector<std::string> assumptions;
  std::string reason;  // why there is no prediction, or why the plan does not fit
  friend bool operator==(const ValidationRow&, const ValidationRow&) = default;

  // predicted / measured - 1, where both are known.
  std::optional<double> step_time_error() const;
  std::optional<double> memory_error() const;
};

struct ValidationSummary {
  std::string group;
  size_t runs = 0;
  size_t predicted = 0;
  size_t step_times = 0;  // compared
  std::optional<ErrorSummary> step_time;
  std::string worst_run;
  size_t in_interval = 0;  // measured step times within [low, high]
  size_t memories = 0;     // compared
  std::optional<ErrorSummary> memory;
  size_t ran_out = 0;            // of memory, and predicted
  size_t found_out = 0;          // of these, called infeasible
  size_t ran = 0;                // and predicted
  size_t called_infeasible = 0;  // of these: false alarms
  size_t sweeps = 0;
  std::optional<double> rank_correlation;  // Spearman's, mean over sweeps
};

// Groups in alphabetical order, and then "all" of them. O(n log n).
std::vector<ValidationSummary> summarise(std::span<const ValidationRow> rows);

// Errors of step times, and of memory where it is known, as percentages.
Table step_time_table(std::span<const ValidationSummary> summaries);
Table memory_table(std::span<const ValidationSummary> summaries);
// The runs with the largest errors of their step time, at most `count`, the largest first.
Table worst_table(std::span<const ValidationRow> rows, size_t count);
// One record for each run, in the order of the rows.
Table record_table(std::span<const ValidationRow> rows);

}  // namespace soapbox::results
