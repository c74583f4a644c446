#include "results/stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/base/check.h"

namespace soapbox::results {
namespace {

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Ranks from 1; equal values share the mean of the ranks they cover.
std::vector<double> ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    // The mean of first + 1 ... end.
    const double shared = static_cast<double>(first + 1 + end) / 2;
    for (; first < end; ++first) rank[order[first]] = shared;
  }
  return rank;
}

}  // namespace

double mean_absolute_relative_error(std::span<const double> predicted,
                                    std::span<const double> actual) {
  SOAPBOX_CHECK(predicted.size() == actual.size() && !actual.empty(), "pairs are needed");
  double sum = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    SOAPBOX_CHECK(actual[i] != 0, "no error relative to zero");
    sum += std::fabs((predicted[i] - actual[i]) / actual[i]);
  }
  return sum / static_cast<double>(actual.size());
}

ErrorSummary summarise_errors(std::span<const double> errors) {
  SOAPBOX_CHECK(!errors.empty(), "a summary of nothing");
  std::vector<double> sizes;
  sizes.reserve(errors.size());
  ErrorSummary summary;
  for (size_t i = 0; i < errors.size(); ++i) {
    sizes.push_back(std::fabs(errors[i]));
    if (sizes[i] <= std::fabs(summary.worst)) continue;
    summary.worst = errors[i];
    summary.worst_index = i;
  }
  summary.median = quantile(sizes, 0.5);
  summary.mean = mean(sizes);
  summary.p90 = quantile(sizes, 0.9);
  summary.bias = mean(errors);
  return summary;
}

double quantile(std::span<const double> values, double q) {
  SOAPBOX_CHECK(!values.empty() && q >= 0 && q <= 1, "a quantile of nothing, or outside [0, 1]");
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

std::optional<double> rank_correlation(std::span<const double> a, std::span<const double> b) {
  SOAPBOX_CHECK(a.size() == b.size() && a.size() >= 2, "at least two pairs are needed");
  const std::vector<double> rank_a = ranks(a);
  const std::vector<double> rank_b = ranks(b);
  const double mean_rank = mean(rank_a);  // (n + 1) / 2 on both sides
  double covariance = 0;
  double variance_a = 0;
  double variance_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    covariance += (rank_a[i] - mean_rank) * (rank_b[i] - mean_rank);
    variance_a += (rank_a[i] - mean_rank) * (rank_a[i] - mean_rank);
    variance_b += (rank_b[i] - mean_rank) * (rank_b[i] - mean_rank);
  }
  if (variance_a == 0 || variance_b == 0) return std::nullopt;
  return covariance / std::sqrt(variance_a * variance_b);
}

std::optional<double> kendall_correlation(std::span<const double> a, std::span<const double> b) {
  SOAPBOX_CHECK(a.size() == b.size() && a.size() >= 2, "at least two pairs are needed");
  int64_t agreement = 0;
  int64_t ordered_a = 0;
  int64_t ordered_b = 0;
  const auto order = [](double x, double y) { return (x > y) - (x < y); };
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const int in_a = order(a[i], a[j]);
      const int in_b = order(b[i], b[j]);
      agreement += in_a * in_b;
      ordered_a += in_a != 0;
      ordered_b += in_b != 0;
    }
  }
  if (ordered_a == 0 || ordered_b == 0) return std::nullopt;
  return static_cast<double>(agreement) /
         std::sqrt(static_cast<double>(ordered_a) * static_cast<double>(ordered_b));
}

}  // namespace soapbox::results
