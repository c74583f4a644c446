// How good a fit is: errors of predictions, and the interval that held 90 % of what a fit had not
// seen.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "sim/cost/kernel_profile.h"

namespace soapbox::calib {

struct FitErrors {
  size_t rows = 0;
  double mape = 0;      // mean |predicted - measured| / measured
  double worst = 0;     // the largest of these
  double bias = 1;      // median predicted / measured
  double coverage = 0;  // share of rows inside the interval
};

// `ratios`: predicted / measured.
FitErrors errors_from(const std::vector<double>& ratios, const Interval& interval);

// Split conformal prediction: the 5th and 95th percentile of measured / predicted over rows that a
// fit has not seen, to three digits.
Interval interval_from(const std::vector<double>& ratios);

struct FitReport {
  FitErrors fitted;    // the rows that the fit rests on
  FitErrors crossed;   // the same, each from a fit to four fifths that lacks it
  FitErrors held_out;  // rows that nothing has seen
};

// Fits by pattern search, with five-fold cross-validation.
struct SearchedFit {
  std::vector<double> values;
  Interval interval;
  FitReport report;
};
// `ratio(values, row)` is predicted / measured; rows below `training_rows` are trained on, those up
// to `all_rows` held out.
SearchedFit search_fit(std::vector<double> start, size_t training_rows, size_t all_rows,
                       const std::function<double(const std::vector<double>&, size_t)>& ratio);

}  // namespace soapbox::calib
