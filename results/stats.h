// Statistics that commands print. Plain arithmetic on doubles: nothing here reaches a simulated
// time.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace soapbox::results {

// mean |predicted - actual| / |actual|, as a fraction: 0.1 is 10 %.
// REQUIRES: as many predictions as actual values, at least one; no actual value is 0.
double mean_absolute_relative_error(std::span<const double> predicted,
                                    std::span<const double> actual);

// Relative errors, predicted / actual - 1, as fractions.
struct ErrorSummary {
  double median = 0;  // of the absolute errors, as mean and p90
  double mean = 0;
  double p90 = 0;
  double worst = 0;        // the error furthest from 0, with its sign
  size_t worst_index = 0;  // the first of them
  double bias = 0;         // mean of the errors with their signs
};
// O(n log n). REQUIRES: at least one error, all finite.
ErrorSummary summarise_errors(std::span<const double> errors);

// The q-quantile, linear between order statistics: position q (n - 1) in the sorted values (Hyndman
// and Fan's type 7, as numpy and R do). q = 0.5 is the median. O(n log n).
// REQUIRES: at least one value, all finite; 0 <= q <= 1.
double quantile(std::span<const double> values, double q);

// Spearman's rank correlation: Pearson's correlation of the ranks, where equal values share the
// mean of their ranks. Nothing if one side is constant. O(n log n). REQUIRES: equally many values
// on both sides, at least two, all finite.
std::optional<double> rank_correlation(std::span<const double> a, std::span<const double> b);

// Kendall's tau-b: pairs that both sides order alike minus those ordered against each other, over
// the geometric mean of the pairs that each side orders at all. O(n^2). As rank_correlation().
std::optional<double> kendall_correlation(std::span<const double> a, std::span<const double> b);

}  // namespace soapbox::results
