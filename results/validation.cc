#include "results/validation.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/str.h"

namespace soapbox::results {
namespace {

constexpr size_t kSmallestSweep = 4;

std::optional<double> relative_error(const std::optional<double>& predicted,
                                     const std::optional<double>& measured) {
  if (!predicted || !measured || *measured <= 0) return std::nullopt;
  return *predicted / *measured - 1;
}

std::optional<double> as_double(const std::optional<int64_t>& count) {
  return count ? std::optional(static_cast<double>(*count)) : std::nullopt;
}

// Mean rank correlation of predicted and measured times over sweeps of some size.
void compare_order(std::span<const ValidationRow* const> rows, ValidationSummary& summary) {
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> sweeps;
  for (const ValidationRow* row : rows) {
    if (!row->step_time_error() || row->sweep.empty()) continue;
    auto& [predicted, measured] = sweeps[row->sweep];
    predicted.push_back(*row->predicted_step_time_s);
    measured.push_back(*row->measured_step_time_s);
  }
  double sum = 0;
  for (const auto& [sweep, times] : sweeps) {
    if (times.first.size() < kSmallestSweep) continue;
    const std::optional<double> order = rank_correlation(times.first, times.second);
    if (!order) continue;
    sum += *order;
    ++summary.sweeps;
  }
  if (summary.sweeps > 0) summary.rank_correlation = sum / static_cast<double>(summary.sweeps);
}

ValidationSummary summarise_group(std::string group, std::span<const ValidationRow* const> rows) {
  ValidationSummary summary;
  summary.group = std::move(group);
  summary.runs = rows.size();
  std::vector<double> time_errors;
  std::vector<const ValidationRow*> timed;
  std::vector<double> memory_errors;
  for (const ValidationRow* row : rows) {
    if (row->feasible) {
      ++summary.predicted;
      (row->ran_out_of_memory ? summary.ran_out : summary.ran) += 1;
      if (!*row->feasible) {
        (row->ran_out_of_memory ? summary.found_out : summary.called_infeasible) += 1;
      }
    }
    if (const auto error = row->step_time_error()) {
      time_errors.push_back(*error);
      timed.push_back(row);
      const double measured = *row->measured_step_time_s;
      if (row->low_s && row->high_s && *row->low_s <= measured && measured <= *row->high_s) {
        ++summary.in_interval;
      }
    }
    if (const auto error = row->memory_error()) memory_errors.push_back(*error);
  }
  summary.step_times = time_errors.size();
  summary.memories = memory_errors.size();
  if (!time_errors.empty()) {
    summary.step_time = summarise_errors(time_errors);
    summary.worst_run = timed[summary.step_time->worst_index]->run;
  }
  if (!memory_errors.empty()) summary.memory = summarise_errors(memory_errors);
  compare_order(rows, summary);
  return summary;
}

Cell percent(const std::optional<ErrorSummary>& errors, double ErrorSummary::*field) {
  return errors ? Cell((*errors).*field * 100) : Cell();
}

// "2 of 3", or nothing of nothing.
Cell part(size_t some, size_t all) {
  return all == 0 ? Cell() : Cell(str_cat(some, " of ", all));
}

}  // namespace

std::optional<double> ValidationRow::step_time_error() const {
  return relative_error(predicted_step_time_s, measured_step_time_s);
}

std::optional<double> ValidationRow::memory_error() const {
  return relative_error(as_double(predicted_peak_memory_bytes),
                        as_double(measured_peak_memory_bytes));
}

std::vector<ValidationSummary> summarise(std::span<const ValidationRow> rows) {
  std::map<std::string, std::vector<const ValidationRow*>> groups;
  std::vector<const ValidationRow*> all;
  for (const ValidationRow& row : rows) {
    groups[row.group].push_back(&row);
    all.push_back(&row);
  }
  std::vector<ValidationSummary> summaries;
  for (const auto& [group, members] : groups) summaries.push_back(summarise_group(group, members));
  summaries.push_back(summarise_group("all", all));
  return summaries;
}

Table step_time_table(std::span<const ValidationSummary> summaries) {
  Table table({{"group"},
               {"runs"},
               {"predicted"},
               {"timed"},
               {"median_percent", 1},
               {"mean_percent", 1},
               {"p90_percent", 1},
               {"bias_percent", 1},
               {"worst_percent", 1},
               {"worst_run"},
               {"in_interval"},
               {"rank_correlation", 2}});
  for (const ValidationSummary& one : summaries) {
    table.add_row(
        {one.group, one.runs, one.predicted, one.step_times,
         percent(one.step_time, &ErrorSummary::median), percent(one.step_time, &ErrorSummary::mean),
         percent(one.step_time, &ErrorSummary::p90), percent(one.step_time, &ErrorSummary::bias),
         percent(one.step_time, &ErrorSummary::worst),
         one.worst_run.empty() ? Cell() : Cell(one.worst_run),
         part(one.in_interval, one.step_times), one.rank_correlation});
  }
  return table;
}

Table memory_table(std::span<const ValidationSummary> summaries) {
  Table table({{"group"},
               {"measured"},
               {"median_percent", 1},
               {"mean_percent", 1},
               {"bias_percent", 1},
               {"worst_percent", 1},
               {"out_of_memory_found"},
               {"false_alarms"}});
  for (const ValidationSummary& one : summaries) {
    const bool tells = one.memories > 0 || one.ran_out > 0 || one.called_infeasible > 0;
    if (!tells) continue;
    table.add_row({one.group, one.memories, percent(one.memory, &ErrorSummary::median),
                   percent(one.memory, &ErrorSummary::mean),
                   percent(one.memory, &ErrorSummary::bias),
                   percent(one.memory, &ErrorSummary::worst), part(one.found_out, one.ran_out),
                   part(one.called_infeasible, one.ran)});
  }
  return table;
}

Table worst_table(std::span<const ValidationRow> rows, size_t count) {
  std::vector<std::pair<double, const ValidationRow*>> errors;
  for (const ValidationRow& row : rows) {
    if (const auto error = row.step_time_error()) errors.emplace_back(*error, &row);
  }
  std::stable_sort(errors.begin(), errors.end(), [](const auto& a, const auto& b) {
    return std::fabs(a.first) > std::fabs(b.first);
  });
  if (errors.size() > count) errors.resize(count);
  Table table({{"run"},
               {"split"},
               {"trust"},
               {"predicted_step_time_s"},
               {"measured_step_time_s"},
               {"error_percent", 1}});
  for (const auto& [error, row] : errors) {
    table.add_row({row->run, row->split, row->trust, row->predicted_step_time_s,
                   row->measured_step_time_s, error * 100});
  }
  return table;
}

Table record_table(std::span<const ValidationRow> rows) {
  Table table({{"id"},
               {"predicted_step_time_s"},
               {"low_s"},
               {"high_s"},
               {"predicted_peak_memory_bytes"},
               {"feasible"},
               {"assumptions"},
               {"reason"},
               {"group"},
               {"split"},
               {"trust"},
               {"measured_step_time_s"},
               {"step_time_error"},
               {"measured_peak_memory_bytes"},
               {"memory_error"},
               {"ran_out_of_memory"}});
  for (const ValidationRow& row : rows) {
    table.add_row({row.run, row.predicted_step_time_s, row.low_s, row.high_s,
                   row.predicted_peak_memory_bytes, row.feasible, row.assumptions,
                   row.reason.empty() ? Cell() : Cell(row.reason), row.group, row.split, row.trust,
                   row.measured_step_time_s, row.step_time_error(), row.measured_peak_memory_bytes,
                   row.memory_error(), row.ran_out_of_memory});
  }
  return table;
}

}  // namespace soapbox::results
