#include "sim/collective/measured.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

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

double squared_error(const Line& line, std::span<const MeasuredTime> points) {
  double sum = 0;
  for (const MeasuredTime& point : points) {
    const double error = line.at(point.bytes.as_double()) / point.time.seconds() - 1;
    sum += error * error;
  }
  return sum;
}

// Where the segments of the best cut end: best[k][end] is the smallest error of the first `end`
// points in k + 1 segments of two points or more.
std::vector<size_t> best_cut(std::span<const MeasuredTime> points, size_t segments) {
  const size_t count = points.size();
  const double none = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> best(segments, std::vector<double>(count + 1, none));
  std::vector<std::vector<size_t>> begins(segments, std::vector<size_t>(count + 1, 0));
  for (size_t end = 1; end <= count; ++end) {
    for (size_t begin = 0; begin < end; ++begin) {
      if (end - begin < 2 && count > 1) continue;
      const std::span<const MeasuredTime> part = points.subspan(begin, end - begin);
      const double error = squared_error(fit_line(part), part);
      if (begin == 0) best[0][end] = error;
      for (size_t k = 1; k < segments && begin > 0; ++k) {
        if (best[k - 1][begin] + error >= best[k][end]) continue;
        best[k][end] = best[k - 1][begin] + error;
        begins[k][end] = begin;
      }
    }
  }
  std::vector<size_t> ends = {count};
  for (size_t k = segments - 1; k > 0; --k) ends.insert(ends.begin(), begins[k][ends.front()]);
  return ends;
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
                                                   size_t segments) {
  SOAPBOX_CHECK(segments > 0, "a curve needs a segment");
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
  const std::span<const MeasuredTime> all = times;
  std::vector<AlphaBetaSegment> found;
  size_t begin = 0;
  for (const size_t end : best_cut(all, std::clamp<size_t>(times.size() / 2, 1, segments))) {
    const Line line = fit_line(all.subspan(begin, end - begin));
    found.push_back({all[end - 1].bytes, line.alpha, line.beta});
    begin = end;
  }
  return make(std::move(found));
}

Result<MeasuredCollective> MeasuredCollective::make(std::vector<AlphaBetaSegment> segments) {
  if (segments.empty()) return bad_input("at least one segment is needed");
  MeasuredCollective measured;
  for (const AlphaBetaSegment& segment : segments) {
    double start = 0;
    if (!measured.segments_.empty()) {
      const Bytes before = measured.segments_.back().last;
      if (segment.last <= before) {
        return bad_input(str_cat("a segment up to ", segment.last.count(),
                                 " bytes after one up to ", before.count()));
      }
      start = measured.seconds(before.as_double());
    }
    measured.segments_.push_back(segment);
    measured.starts_s_.push_back(start);
  }
  return measured;
}

double MeasuredCollective::seconds(double bytes) const {
  size_t index = 0;
  while (index + 1 < segments_.size() && bytes > segments_[index].last.as_double()) ++index;
  const AlphaBetaSegment& segment = segments_[index];
  return std::max(segment.alpha_s + segment.beta_s_per_byte * bytes, starts_s_[index]);
}

double mean_error(const MeasuredCollective& measured, std::span<const MeasuredTime> times) {
  double sum = 0;
  for (const MeasuredTime& time : times) {
    sum += std::fabs(measured.seconds(time.bytes.as_double()) / time.time.seconds() - 1);
  }
  return times.empty() ? 0 : sum / static_cast<double>(times.size());
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
