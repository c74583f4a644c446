#include "sim/collective/measured.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "sim/base/csv.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox {

namespace {

struct Line {
  double alpha = 0;
  double beta = 0;
  double at(double bytes) const { return alpha + beta * bytes; }
};

double relative_error(const Line& line, const MeasuredTime& point) {
  return std::fabs(line.at(point.bytes.as_double()) / point.time.seconds() - 1);
}

// Sums for the normal equations with weights 1 / t^2, in units of the point's time.
Line fit_line(std::span<const MeasuredTime> points) {
  double w = 0;
  double ws = 0;
  double wss = 0;
  double wt = 0;
  double wst = 0;
  for (const MeasuredTime& point : points) {
    const double t = point.time.seconds();
    const double s = point.bytes.as_double();
    w += 1 / (t * t);
    ws += s / (t * t);
    wss += s * s / (t * t);
    wt += 1 / t;
    wst += s / t;
  }
  const double determinant = w * wss - ws * ws;
  // One size gives no slope: a constant. Equal up to rounding counts as one.
  if (points.size() < 2 || determinant <= 1e-12 * w * wss) return {wt / w, 0};
  const Line line{(wt * wss - ws * wst) / determinant, (w * wst - ws * wt) / determinant};
  if (line.beta < 0) return {wt / w, 0};
  if (line.alpha < 0) return {0, wst / wss};
  return line;
}

std::optional<Line> line_within(std::span<const MeasuredTime> points, double tolerance) {
  const Line line = fit_line(points);
  for (const MeasuredTime& point : points) {
    if (relative_error(line, point) > tolerance) return std::nullopt;
  }
  return line;
}

constexpr std::array<std::string_view, 5> kColumns = {"op", "ranks", "bytes", "time_us", "source"};

Result<std::vector<MeasuredTime>> select_times(const CsvTable& table, const std::string& file,
                                               CollectiveOp op, uint32_t ranks) {
  std::vector<MeasuredTime> times;
  for (size_t row = 0; row < table.row_count(); ++row) {
    const Result<CollectiveOp> row_op = find_collective(table.text(row, 0));
    if (!row_op) return table.error(row, 0, row_op.error().message);
    const Result<int64_t> row_ranks = table.count(row, 1);
    if (!row_ranks) return row_ranks.error();
    const Result<int64_t> bytes = table.count(row, 2);
    if (!bytes) return bytes.error();
    const Result<double> time_us = table.positive(row, 3);
    if (!time_us) return time_us.error();
    if (*time_us > 1e12) return table.error(row, 3, "more than 11 days");
    if (*row_op == op && *row_ranks == ranks) {
      times.push_back({Bytes(*bytes), from_seconds(*time_us / 1e6)});
    }
  }
  if (times.empty()) {
    return bad_input(str_cat("no row of ", collective_row(op).op_name, " among ", ranks, " ranks"),
                     {file});
  }
  return times;
}

}  // namespace

Result<MeasuredCollective> MeasuredCollective::fit(std::vector<MeasuredTime> times,
                                                   double tolerance) {
  SOAPBOX_CHECK(tolerance > 0, "tolerance must be positive");
  if (times.empty()) return bad_input("no measured times");
  std::sort(times.begin(), times.end(),
            [](const MeasuredTime& a, const MeasuredTime& b) { return a.bytes < b.bytes; });
  for (size_t i = 0; i < times.size(); ++i) {
    if (times[i].bytes <= Bytes() || times[i].time <= Duration()) {
      return bad_input("measured sizes and times must be positive");
    }
    if (i > 0 && times[i].bytes == times[i - 1].bytes) {
      return bad_input(str_cat(times[i].bytes.count(), " bytes were measured twice"));
    }
  }
  MeasuredCollective measured;
  const std::span<const MeasuredTime> all = times;
  for (size_t begin = 0; begin < all.size();) {
    size_t end = begin + 1;
    Line line = fit_line(all.subspan(begin, 1));
    for (size_t longer = end + 1; longer <= all.size(); ++longer) {
      const std::optional<Line> found = line_within(all.subspan(begin, longer - begin), tolerance);
      if (!found) break;
      line = *found;
      end = longer;
    }
    const double start = begin == 0 ? 0 : measured.time(measured.segments_.back().last).seconds();
    measured.segments_.push_back({all[end - 1].bytes, line.alpha, line.beta});
    measured.starts_s_.push_back(start);
    begin = end;
  }
  for (const MeasuredTime& point : times) {
    const double ratio = measured.time(point.bytes).seconds() / point.time.seconds();
    measured.worst_error_ = std::max(measured.worst_error_, std::fabs(ratio - 1));
  }
  return measured;
}

Duration MeasuredCollective::time(Bytes bytes) const {
  size_t index = 0;
  while (index + 1 < segments_.size() && bytes > segments_[index].last) ++index;
  const AlphaBetaSegment& segment = segments_[index];
  const double seconds = segment.alpha_s + segment.beta_s_per_byte * bytes.as_double();
  return from_seconds(std::max(seconds, starts_s_[index]));
}

Result<std::vector<MeasuredTime>> parse_measured_times(std::string_view text,
                                                       const std::string& file, CollectiveOp op,
                                                       uint32_t ranks) {
  const Result<CsvTable> table = CsvTable::parse(text, file, kColumns);
  if (!table) return table.error();
  return select_times(*table, file, op, ranks);
}

Result<std::vector<MeasuredTime>> read_measured_times(const std::string& path, CollectiveOp op,
                                                      uint32_t ranks) {
  const Result<CsvTable> table = CsvTable::read(path, kColumns);
  if (!table) return table.error();
  return select_times(*table, path, op, ranks);
}

}  // namespace soapbox
