#include "calib/fits/link_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "sim/base/check.h"

namespace soapbox::calib {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Line {
  double alpha = 0;
  double beta = 0;
  double error = kInfinity;  // sum of squared relative errors
};

double squared_error(std::span<const TimedTransfer> points, double alpha, double beta) {
  double sum = 0;
  for (const TimedTransfer& point : points) {
    const double off = (alpha + beta * static_cast<double>(point.bytes)) / point.seconds - 1;
    sum += off * off;
  }
  return sum;
}

// Of the unconstrained minimum and those on the two borders, the best that is allowed.
Line fit_line(std::span<const TimedTransfer> points) {
  double w = 0;   // of weights 1/t^2: the sum,
  double wn = 0;  // and of their products with n, n^2, t, n t
  double wnn = 0;
  double wt = 0;
  double wnt = 0;
  for (const TimedTransfer& point : points) {
    const double n = static_cast<double>(point.bytes);
    const double weight = 1 / (point.seconds * point.seconds);
    w += weight;
    wn += weight * n;
    wnn += weight * n * n;
    wt += weight * point.seconds;
    wnt += weight * n * point.seconds;
  }
  Line best;
  const auto consider = [&](double alpha, double beta) {
    if (!(alpha >= 0) || !(beta >= 0)) return;
    const double error = squared_error(points, alpha, beta);
    if (error < best.error) best = {alpha, beta, error};
  };
  const double determinant = w * wnn - wn * wn;
  if (determinant > 1e-12 * w * wnn) {
    consider((wt * wnn - wnt * wn) / determinant, (w * wnt - wn * wt) / determinant);
  }
  consider(wt / w, 0);
  consider(0, wnt / wnn);
  return best;
}

double mean_error(const LinkFit& fit, std::span<const TimedTransfer> points, double* worst) {
  double sum = 0;
  for (const TimedTransfer& point : points) {
    const double off = std::fabs(fit.seconds(point.bytes) / point.seconds - 1);
    sum += off;
    if (worst != nullptr) *worst = std::max(*worst, off);
  }
  return sum / static_cast<double>(points.size());
}

// The best fit with `count` ranges; sizes ascend and every range has two of them, or all.
LinkFit fit_ranges(std::span<const TimedTransfer> points, size_t count) {
  const size_t n = points.size();
  // best[k][j]: the first j points in k + 1 ranges.
  std::vector<std::vector<Line>> best(count, std::vector<Line>(n + 1));
  std::vector<std::vector<size_t>> from(count, std::vector<size_t>(n + 1, 0));
  for (size_t j = 1; j <= n; ++j) best[0][j] = fit_line(points.first(j));
  for (size_t k = 1; k < count; ++k) {
    for (size_t j = 2 * (k + 1); j <= n; ++j) {
      for (size_t i = 2 * k; i + 2 <= j; ++i) {
        Line line = fit_line(points.subspan(i, j - i));
        line.error += best[k - 1][i].error;
        if (line.error >= best[k][j].error) continue;
        best[k][j] = line;
        from[k][j] = i;
      }
    }
  }
  LinkFit fit;
  size_t end = n;
  for (size_t k = count; k-- > 0;) {
    const Line& line = best[k][end];
    fit.segments.insert(fit.segments.begin(), {points[end - 1].bytes, line.alpha, line.beta});
    end = from[k][end];
  }
  fit.mape = mean_error(fit, points, &fit.worst);
  return fit;
}

LinkFit fit_sorted(std::span<const TimedTransfer> points, size_t most_segments) {
  constexpr double kWorthIt = 0.005;
  LinkFit best = fit_ranges(points, 1);
  for (size_t count = 2; count <= most_segments && 2 * count <= points.size(); ++count) {
    LinkFit next = fit_ranges(points, count);
    if (next.mape < best.mape - kWorthIt) best = std::move(next);
  }
  return best;
}

}  // namespace

double LinkFit::seconds(int64_t bytes) const {
  double least = 0;  // what the largest size of the ranges before takes
  for (const LinkSegment& segment : segments) {
    const bool is_last = &segment == &segments.back();
    const double n = static_cast<double>(is_last ? bytes : std::min(bytes, segment.most_bytes));
    const double own = std::max(least, segment.alpha_s + segment.beta_s * n);
    if (bytes <= segment.most_bytes || is_last) return own;
    least = own;
  }
  return least;
}

LinkFit fit_link(std::span<const TimedTransfer> transfers, size_t most_segments) {
  std::vector<TimedTransfer> points(transfers.begin(), transfers.end());
  std::sort(points.begin(), points.end(),
            [](const TimedTransfer& a, const TimedTransfer& b) { return a.bytes < b.bytes; });
  SOAPBOX_CHECK(points.size() >= 2 && points.front().bytes < points.back().bytes,
                "a line needs two sizes");
  LinkFit fit = fit_sorted(points, most_segments);
  if (points.size() < 4) return fit;
  for (size_t i = 0; i < points.size(); ++i) {
    std::vector<TimedTransfer> others = points;
    others.erase(others.begin() + static_cast<ptrdiff_t>(i));
    const LinkFit without = fit_sorted(others, most_segments);
    fit.left_out_mape += std::fabs(without.seconds(points[i].bytes) / points[i].seconds - 1) /
                         static_cast<double>(points.size());
  }
  return fit;
}

}  // namespace soapbox::calib
