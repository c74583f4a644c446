// Fits what is known of a communication library (sim/collective/collective_profile.h) to measured
// collectives.
//
// 1. Curves. For each collective and number of ranks of one node that was measured at enough sizes:
//    alpha-beta segments (sim/collective/measured.h), as few as describe the fitted rows within 2 %
//    on average, three at least. A time above that of a larger size is taken as noise.
// 2. Protocols, for what no curve covers. From the library's public constants a pattern search
//    minimises the mean over collectives, systems and shapes of the mean over their fitted rows of
//    max(predicted / measured, measured / predicted) - 1.
// 3. Errors on the held-out rows, which nothing above has seen. Their 90th percentile is the
//    interval that results state. Where nothing was held out, twice that of the fitted rows.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calib/fits/collective_samples.h"
#include "sim/collective/collective_profile.h"

namespace soapbox::calib {

// A kind of cluster of scenarios/profiles/collectives.
struct FittedLibrary {
  std::string_view name;  // of the samples and of the file
  std::vector<std::string_view> hardware;
  int64_t switch_reduction_ranks = 0;
  std::string_view source;
  std::string_view link_type = "nvlink";
};
// The first is the one whose figures between nodes the others share.
std::span<const FittedLibrary> fitted_libraries();

// Mean absolute percentage errors (as fractions) of one collective on one system, on the rows that
// were fitted and on those held out; negative where there are none.
struct ShapeReport {
  std::string system;
  bool other = false;
  CollectiveOp op = CollectiveOp::kAllReduce;
  GroupShape shape;
  size_t fitted_rows = 0;
  size_t held_out_rows = 0;
  double whole_fitted = -1;  // as used: curves where there are some
  double whole_held_out = -1;
  double model_fitted = -1;  // protocols alone
  double model_held_out = -1;
};

struct CollectiveFit {
  CollectiveProfile profile;
  std::vector<ShapeReport> reports;
};

// `network`: whose figures between nodes are taken over; null: they are fitted.
CollectiveFit fit_collectives(const CollectiveSamples& samples, const FittedLibrary& library,
                              const CollectiveProfile* network);

// scenarios/profiles/collectives/NAME.toml.
std::string to_toml(const CollectiveFit& fit, const FittedLibrary& library);

}  // namespace soapbox::calib
