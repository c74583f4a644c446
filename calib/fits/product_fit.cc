#include "calib/fits/product_fit.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "calib/fits/pattern_search.h"
#include "sim/cost/kernel_costs.h"

namespace soapbox::calib {
namespace {

using Values = std::vector<double>;
using Rows = std::vector<const ProductSample*>;

// A factor beyond these would be one odd row's.
constexpr double kLeastFactor = 0.5;
constexpr double kLargestFactor = 2;

struct Measuring {
  double host_floor = 0;
  double intercept = 0;
};

KernelCosts costs_with(const GemmFit& fit, GemmFamily family, const Hardware& hardware) {
  KernelProfile profile = datasheet_kernel_profile();
  profile.hardware = hardware.name;
  profile.gemm[static_cast<size_t>(family)] = fit;
  Result<KernelCosts> costs = KernelCosts::make(hardware, &profile);
  SOAPBOX_CHECK(costs.has_value(), "the hardware of a fit has its figures");
  return *std::move(costs);
}

double predicted(const KernelCosts& costs, const Measuring& measuring,
                 const ProductSample& sample) {
  double sum = measuring.intercept;
  for (const Kernel& kernel : sample.kernels) sum += costs.time(kernel).time.seconds();
  return std::max(measuring.host_floor, sum);
}

double misfit(const KernelCosts& costs, const Measuring& measuring, const Rows& rows) {
  double sum = 0;
  for (const ProductSample* row : rows) {
    const double ratio = predicted(costs, measuring, *row) / row->seconds;
    sum += std::max(ratio, 1 / ratio) - 1;
  }
  return sum / static_cast<double>(rows.size());
}

// The figures of the formula as a list for the search, and back.
class Figures {
 public:
  Figures(const ProductFitStart& start) : start_(start) {}
  Values values() const {
    const GemmFit& fit = start_.fit;
    Values values = {fit.quantisation, fit.ramp, fit.unhidden, fit.memory_efficiency};
    for (const GemmTile& tile : fit.tiles) values.push_back(tile.efficiency);
    if (start_.timing == Timing::kHost) values.insert(values.end(), {45e-6, 15e-6});
    if (start_.timing == Timing::kDevice) values.push_back(fit.launch.seconds());
    if (start_.roles != Roles::kNone) values.push_back(1);
    if (start_.roles == Roles::kEach) values.push_back(1);
    return values;
  }
  GemmFit fit(const Values& values, bool round) const {
    const auto value = [&](size_t i) { return round ? rounded(values[i]) : values[i]; };
    GemmFit fit = start_.fit;
    fit.factor.factors.clear();
    fit.unaligned.factors.clear();
    fit.quantisation = std::min(1.0, value(0));
    fit.ramp = value(1);
    fit.unhidden = std::min(1.0, value(2));
    fit.memory_efficiency = std::clamp(value(3), start_.least_memory_efficiency, 1.0);
    size_t next = 4;
    for (GemmTile& tile : fit.tiles) tile.efficiency = value(next++);
    if (start_.timing == Timing::kHost) next += 2;
    if (start_.timing == Timing::kDevice) {
      fit.launch = nanoseconds(static_cast<int64_t>(std::llround(values[next++] * 1e9)));
    }
    if (start_.roles != Roles::kNone) {
      fit.role[1] = value(next);
      fit.role[2] = value(start_.roles == Roles::kEach ? next + 1 : next);
    }
    return fit;
  }
  Measuring measuring(const Values& values) const {
    if (start_.timing != Timing::kHost) return {};
    const size_t at = 4 + start_.fit.tiles.size();
    return {values[at], values[at + 1]};
  }

 private:
  const ProductFitStart& start_;
};

struct LinearRow {
  std::vector<std::pair<size_t, double>> shares;  // of the nodes in predicted / measured
  double fixed = 0;                               // what the nodes do not scale
};

// The nodes of both grids, one after the other.
class Nodes {
 public:
  // `unaligned` has no part in a fit to products that are all aligned.
  Nodes(const FactorGrid& factor, const FactorGrid& unaligned, bool any_unaligned)
      : factor_(factor), unaligned_(unaligned), first_unaligned_(factor.node_count()) {
    neighbours_.resize(first_unaligned_ + (any_unaligned ? unaligned.node_count() : 0));
    connect(factor, 0);
    if (any_unaligned) connect(unaligned, first_unaligned_);
  }
  size_t count() const { return neighbours_.size(); }
  // What a node is where nothing was measured: a factor of 1, and nothing added to it.
  double neutral(size_t node) const { return node < first_unaligned_ ? 1 : 0; }
  const std::vector<size_t>& neighbours(size_t node) const { return neighbours_[node]; }
  void add_shares(const Kernel& kernel, double scale, LinearRow& row) const {
    add(factor_, kernel.gemm, 0, scale, row);
    if (!in_whole_sectors(kernel)) add(unaligned_, kernel.gemm, first_unaligned_, scale, row);
  }
  void store(const Values& values, GemmFit& fit) const {
    const auto middle = values.begin() + static_cast<ptrdiff_t>(first_unaligned_);
    fit.factor = factor_;
    fit.factor.factors.assign(values.begin(), middle);
    if (count() == first_unaligned_) return;
    fit.unaligned = unaligned_;
    fit.unaligned.factors.assign(middle, values.end());
  }

 private:
  // Asks the interpolation itself, so that the fit cannot disagree with it.
  static void add(const FactorGrid& grid, const Gemm& gemm, size_t first, double scale,
                  LinearRow& row) {
    const GridPlace place = grid_place(grid, gemm);
    for (size_t i = 0; i < place.corners; ++i) {
      row.shares.emplace_back(first + place.nodes[i], scale * place.weights[i]);
    }
  }
  void connect(const FactorGrid& grid, size_t first) {
    size_t stride = 1;
    for (size_t axis = FactorGrid::kAxes; axis-- > 0;) {
      const auto count = static_cast<size_t>(grid.axes[axis].count);
      for (size_t node = 0; node < grid.node_count(); ++node) {
        if (node / stride % count + 1 == count) continue;
        neighbours_[first + node].push_back(first + node + stride);
        neighbours_[first + node + stride].push_back(first + node);
      }
      stride *= count;
    }
  }

  const FactorGrid& factor_;
  const FactorGrid& unaligned_;
  size_t first_unaligned_ = 0;
  std::vector<std::vector<size_t>> neighbours_;
};

// Rows as sums over nodes; without those that are no longer than the host's floor, which say
// nothing about the kernel.
std::vector<LinearRow> linear_rows(const Rows& rows, const KernelCosts& costs, const GemmFit& fit,
                                   const Measuring& measuring, const Nodes& nodes) {
  std::vector<LinearRow> linear;
  const double launch = fit.launch.seconds();
  for (const ProductSample* row : rows) {
    LinearRow line;
    double total = measuring.intercept;
    line.fixed = measuring.intercept / row->seconds;
    for (const Kernel& kernel : row->kernels) {
      const double run = costs.time(kernel).time.seconds() - launch;
      total += run + launch;
      line.fixed += launch / row->seconds;
      nodes.add_shares(kernel, run / row->seconds, line);
    }
    if (total > measuring.host_floor) linear.push_back(std::move(line));
  }
  return linear;
}

// `fit` has no grids yet.
void fit_grids(const Rows& rows, GemmFamily family, const Hardware& hardware,
               const Measuring& measuring, const ProductFitStart& start, GemmFit& fit) {
  if (start.fit.factor.node_count() == 1) return;
  const bool any_unaligned = std::any_of(rows.begin(), rows.end(), [](const ProductSample* row) {
    return !std::all_of(row->kernels.begin(), row->kernels.end(), in_whole_sectors);
  });
  const Nodes nodes(start.fit.factor, start.fit.unaligned, any_unaligned);
  const std::vector<LinearRow> linear =
      linear_rows(rows, costs_with(fit, family, hardware), fit, measuring, nodes);
  Values g(nodes.count());
  std::vector<std::vector<std::pair<size_t, double>>> rows_of(nodes.count());
  for (size_t node = 0; node < g.size(); ++node) g[node] = nodes.neutral(node);
  Values rest(linear.size());  // predicted / measured - 1
  for (size_t i = 0; i < linear.size(); ++i) {
    rest[i] = linear[i].fixed - 1;
    for (const auto& [node, share] : linear[i].shares) {
      rest[i] += share * g[node];
      rows_of[node].emplace_back(i, share);
    }
  }
  constexpr int kSweeps = 300;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (size_t node = 0; node < g.size(); ++node) {
      const double neutral = nodes.neutral(node);
      double slope = start.shrink * (g[node] - neutral);
      double curve = start.shrink;
      for (const auto& [row, share] : rows_of[node]) {
        slope += rest[row] * share;
        curve += share * share;
      }
      for (const size_t other : nodes.neighbours(node)) {
        slope += start.smooth * (g[node] - g[other]);
        curve += start.smooth;
      }
      const double to = std::clamp(g[node] - slope / curve, neutral + kLeastFactor - 1,
                                   neutral + kLargestFactor - 1);
      const double step = to - g[node];
      g[node] = to;
      for (const auto& [row, share] : rows_of[node]) rest[row] += step * share;
    }
  }
  for (double& value : g) value = value < 0 ? -rounded(-value) : rounded(value);
  nodes.store(g, fit);
}

struct Fitted {
  GemmFit fit;
  Measuring measuring;
};

Fitted fit_rows(const Rows& rows, GemmFamily family, const Hardware& hardware,
                const ProductFitStart& start, Values& values) {
  const Figures figures(start);
  pattern_search(values, [&](const Values& v) {
    return misfit(costs_with(figures.fit(v, false), family, hardware), figures.measuring(v), rows);
  });
  Fitted fitted{figures.fit(values, true), figures.measuring(values)};
  fit_grids(rows, family, hardware, fitted.measuring, start, fitted.fit);
  return fitted;
}

Values ratios_of(const Fitted& fitted, GemmFamily family, const Hardware& hardware,
                 const Rows& rows) {
  const KernelCosts costs = costs_with(fitted.fit, family, hardware);
  Values ratios;
  for (const ProductSample* row : rows) {
    ratios.push_back(predicted(costs, fitted.measuring, *row) / row->seconds);
  }
  return ratios;
}

MeasuredRange range_of(const Rows& rows) {
  MeasuredRange range;
  for (const ProductSample* row : rows) {
    for (const Kernel& kernel : row->kernels) {
      const Gemm& gemm = kernel.gemm;
      const std::array<int64_t, 4> sides = {gemm.batch, gemm.m, gemm.n, gemm.k};
      for (size_t axis = 0; axis < sides.size(); ++axis) {
        if (range.low[axis] == 0 || sides[axis] < range.low[axis]) range.low[axis] = sides[axis];
        range.high[axis] = std::max(range.high[axis], sides[axis]);
      }
    }
  }
  return range;
}

}  // namespace

FittedProducts fit_products(const std::vector<ProductSample>& samples, GemmFamily family,
                            const Hardware& hardware, const ProductFitStart& start) {
  constexpr size_t kFolds = 5;
  Rows train;
  Rows test;
  for (const ProductSample& sample : samples) (sample.held_out ? test : train).push_back(&sample);
  Values values = Figures(start).values();
  // Where a first search ends, a second one with large steps can still descend; without it the
  // folds below, which begin there, would do better than the fit that they judge.
  fit_rows(train, family, hardware, start, values);
  const Fitted all = fit_rows(train, family, hardware, start, values);
  Values crossed;
  for (size_t fold = 0; fold < kFolds; ++fold) {
    Rows in;
    Rows out;
    for (size_t i = 0; i < train.size(); ++i) (i % kFolds == fold ? out : in).push_back(train[i]);
    Values start_values = values;
    const Fitted some = fit_rows(in, family, hardware, start, start_values);
    const Values ratios = ratios_of(some, family, hardware, out);
    crossed.insert(crossed.end(), ratios.begin(), ratios.end());
  }
  FittedProducts found;
  found.fit = all.fit;
  found.fit.interval = interval_from(crossed);
  found.fit.range = range_of(train);
  found.fit.fitted_on = hardware.name;
  found.host_floor_s = all.measuring.host_floor;
  found.intercept_s = all.measuring.intercept;
  Fitted formula = all;
  formula.fit.factor = {};
  formula.fit.unaligned = {};
  const Interval& interval = found.fit.interval;
  found.formula = errors_from(ratios_of(formula, family, hardware, train), interval);
  found.report = {errors_from(ratios_of(all, family, hardware, train), interval),
                  errors_from(crossed, interval),
                  errors_from(ratios_of(all, family, hardware, test), interval)};
  return found;
}

FitErrors repeat_errors(const std::vector<ProductSample>& samples, const Interval& interval) {
  std::map<std::vector<double>, Values> seconds_of;
  for (const ProductSample& sample : samples) {
    std::vector<double> product;
    for (const Kernel& kernel : sample.kernels) {
      const Gemm& gemm = kernel.gemm;
      for (const int64_t side : {gemm.batch, gemm.m, gemm.n, gemm.k}) {
        product.push_back(static_cast<double>(side));
      }
      product.insert(product.end(), {static_cast<double>(kernel.role), kernel.bytes});
    }
    seconds_of[product].push_back(sample.seconds);
  }
  Values ratios;
  for (auto& [product, seconds] : seconds_of) {
    if (seconds.size() < 2) continue;
    std::sort(seconds.begin(), seconds.end());
    const size_t half = seconds.size() / 2;
    const double median = (seconds[half] + seconds[seconds.size() - 1 - half]) / 2;
    for (const double one : seconds) ratios.push_back(median / one);
  }
  return errors_from(ratios, interval);
}

namespace {

// Evenly spaced over the order of measured times, from small to large.
std::pair<Rows, Rows> choose_anchors(const std::vector<ProductSample>& samples, size_t anchors) {
  Rows rows;
  for (const ProductSample& sample : samples) rows.push_back(&sample);
  std::stable_sort(rows.begin(), rows.end(), [](const ProductSample* a, const ProductSample* b) {
    return a->seconds < b->seconds;
  });
  std::pair<Rows, Rows> parts;
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t next = parts.first.size();
    const bool anchor = next < anchors && i == (2 * next + 1) * rows.size() / (2 * anchors);
    (anchor ? parts.first : parts.second).push_back(rows[i]);
  }
  return parts;
}

}  // namespace

TransferredProducts transfer_products(const FittedProducts& source, GemmFamily family,
                                      const Hardware& target,
                                      const std::vector<ProductSample>& samples, size_t anchors,
                                      bool same_architecture) {
  const auto [known, unknown] = choose_anchors(samples, anchors);
  Fitted before = {source.fit, {source.host_floor_s, source.intercept_s}};
  if (!same_architecture) before.fit.factor = before.fit.unaligned = {};
  // Values: speed, memory efficiency, host floor, intercept.
  const Values start = {1, source.fit.memory_efficiency, source.host_floor_s, source.intercept_s};
  const auto apply = [&](const Values& v) {
    Fitted fitted = before;
    fitted.measuring = {v[2], v[3]};
    for (GemmTile& tile : fitted.fit.tiles) tile.efficiency *= v[0];
    fitted.fit.memory_efficiency = std::min(1.0, v[1]);
    return fitted;
  };
  // What straying from the source costs keeps a figure that the anchors say nothing about. Clocks
  // and memories of one architecture differ less than single rows do: its speed moves if four of
  // five anchors agree (their votes, 3 / 5, outweigh it), another's if three do (1 / 5).
  constexpr double kStraying = 0.02;
  const double speed_straying = same_architecture ? 0.4 : kStraying;
  Values values = start;
  pattern_search(values, [&](const Values& v) {
    double strayed = 0;
    for (size_t i = 0; i < v.size(); ++i) {
      const double cost = i == 0 ? speed_straying : kStraying;
      if (start[i] > 0) strayed += cost * (std::max(v[i] / start[i], start[i] / v[i]) - 1);
    }
    const Fitted fitted = apply(v);
    return misfit(costs_with(fitted.fit, family, target), fitted.measuring, known) + strayed;
  });
  const Fitted after = apply(values);
  const Interval interval = interval_elsewhere(source.fit.interval);
  return {after.fit, errors_from(ratios_of(before, family, target, unknown), interval),
          errors_from(ratios_of(after, family, target, unknown), interval)};
}

}  // namespace soapbox::calib
