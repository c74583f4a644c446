#include "calib/fits/fit_errors.h"

#include <algorithm>
#include <cmath>

#include "calib/fits/pattern_search.h"

namespace soapbox::calib {
namespace {

using Values = std::vector<double>;

double at_share(Values values, double share) {
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(std::round(share * last))];
}

}  // namespace

FitErrors errors_from(const Values& ratios, const Interval& interval) {
  FitErrors errors;
  errors.rows = ratios.size();
  if (ratios.empty()) return errors;
  for (const double ratio : ratios) {
    const double error = std::fabs(ratio - 1);
    errors.mape += error;
    errors.worst = std::max(errors.worst, error);
    const bool inside = 1 / ratio >= 1 - interval.low && 1 / ratio <= 1 + interval.high;
    errors.coverage += inside ? 1 : 0;
  }
  errors.mape /= static_cast<double>(ratios.size());
  errors.coverage /= static_cast<double>(ratios.size());
  errors.bias = at_share(ratios, 0.5);
  return errors;
}

Interval interval_from(const Values& ratios) {
  Values measured;  // over predicted
  for (const double ratio : ratios) measured.push_back(1 / ratio);
  constexpr double kNarrowest = 0.01;
  return {std::max(kNarrowest, rounded(1 - at_share(measured, 0.05))),
          std::max(kNarrowest, rounded(at_share(measured, 0.95) - 1))};
}

SearchedFit search_fit(Values start, size_t training_rows, size_t all_rows,
                       const std::function<double(const Values&, size_t)>& ratio) {
  constexpr size_t kFolds = 5;
  const auto fit = [&](const Values& from, size_t without) {
    Values values = from;
    pattern_search(values, [&](const Values& v) {
      double sum = 0;
      for (size_t row = 0; row < training_rows; ++row) {
        if (row % kFolds == without) continue;
        const double r = ratio(v, row);
        sum += std::max(r, 1 / r) - 1;
      }
      return sum;
    });
    for (double& value : values) value = rounded(value);
    return values;
  };
  SearchedFit found;
  found.values = fit(start, kFolds);
  Values crossed;
  for (size_t fold = 0; fold < kFolds; ++fold) {
    const Values values = fit(found.values, fold);
    for (size_t row = fold; row < training_rows; row += kFolds) {
      crossed.push_back(ratio(values, row));
    }
  }
  found.interval = interval_from(crossed);
  Values fitted;
  Values held_out;
  for (size_t row = 0; row < all_rows; ++row) {
    (row < training_rows ? fitted : held_out).push_back(ratio(found.values, row));
  }
  found.report = {errors_from(fitted, found.interval), errors_from(crossed, found.interval),
                  errors_from(held_out, found.interval)};
  return found;
}

}  // namespace soapbox::calib
