#include "strategies/miqp/stage_program.h"

#include <algorithm>

#include "sim/base/check.h"

namespace soapbox::miqp {

StageProgram::StageProgram(size_t positions, size_t stages, size_t width,
                           std::vector<const double*> cross)
    : positions_(positions),
      stages_(stages),
      width_(width),
      cross_(std::move(cross)),
      arcs_(stages),
      forward_(stages * 2 * positions * width),
      backward_(forward_.size()) {}

void StageProgram::entries(size_t stage, const StageArc& arc, double most, double* start) const {
  if (stage == 0) {
    std::fill(start, start + arc.rows, arc.first == 0 ? 0 : kInfinity);
    return;
  }
  std::fill(start, start + arc.rows, kInfinity);
  if (arc.first == 0) return;
  const double* const from = before(stage - 1, arc.first - 1, arc.kind == Kind::kFollow);
  const double* const table = cross_[arc.first];
  for (size_t k = 0; k < width_; ++k) {
    if (from[k] == kInfinity) continue;
    for (size_t l = 0; l < width_; ++l) {
      const double cost = table[k * width_ + l];
      const double value = cost <= most ? from[k] + cost : kInfinity;
      start[l] = std::min(start[l], value);
    }
  }
}

double StageProgram::forward(double most) {
  std::fill(forward_.begin(), forward_.end(), kInfinity);
  size_t size = 0;
  start_at_.clear();
  for (const std::vector<StageArc>& arcs : arcs_) {
    start_at_.push_back(size);
    size += arcs.size() * width_;
  }
  starts_.resize(size);
  for (size_t i = 0; i < stages_; ++i) {
    const StageArc* previous = nullptr;
    double* start = starts_.data() + start_at_[i];
    for (const StageArc& arc : arcs_[i]) {
      if (previous && previous->first == arc.first && previous->kind == arc.kind) {
        std::copy(start - width_, start - width_ + arc.rows, start);
      } else {
        entries(i, arc, most, start);
      }
      previous = &arc;
      double* const to = before(i, arc.last, arc.kind == Kind::kHub);
      for (size_t r = 0; r < arc.rows; ++r) {
        if (start[r] == kInfinity) continue;
        const double* const value = arc.value + r * arc.columns;
        const double* const guard = arc.guard + r * arc.columns;
        for (size_t l = 0; l < arc.columns; ++l) {
          const double sum = guard[l] <= most ? start[r] + value[l] : kInfinity;
          to[l] = std::min(to[l], sum);
        }
      }
      start += width_;
    }
  }
  return std::min(before(stages_ - 1, positions_ - 1, false)[0],
                  before(stages_ - 1, positions_ - 1, true)[0]);
}

std::vector<StageStep> StageProgram::path(double most) const {
  std::vector<StageStep> steps(stages_);
  size_t position = positions_ - 1;
  size_t column = 0;
  bool hub = before(stages_ - 1, position, true)[0] < before(stages_ - 1, position, false)[0];
  for (size_t i = stages_; i-- > 0;) {
    const double wanted = before(i, position, hub)[column];
    bool found = false;
    for (uint32_t j = 0; j < arcs_[i].size() && !found; ++j) {
      const StageArc& arc = arcs_[i][j];
      if (arc.last != position || (arc.kind == Kind::kHub) != hub) continue;
      const double* const start = &starts_[start_at_[i] + j * width_];
      for (uint32_t r = 0; r < arc.rows && !found; ++r) {
        const size_t at = r * arc.columns + column;
        if (arc.guard[at] > most || start[r] + arc.value[at] != wanted) continue;
        steps[i] = {j, r, static_cast<uint32_t>(column)};
        found = true;
      }
    }
    SOAPBOX_CHECK(found, "no arc leads to a value of the stage program");
    if (i == 0) break;
    const StageArc& arc = arcs_[i][steps[i].arc];
    hub = arc.kind == Kind::kFollow;
    position = arc.first - 1;
    const double start = starts_[start_at_[i] + steps[i].arc * width_ + steps[i].row];
    const double* const from = before(i - 1, position, hub);
    column = width_;
    for (size_t k = 0; k < width_ && column == width_; ++k) {
      const double cost = cross_[arc.first][k * width_ + steps[i].row];
      if (cost <= most && from[k] + cost == start) column = k;
    }
    SOAPBOX_CHECK(column < width_, "no stage before leads to a value of the stage program");
  }
  return steps;
}

void StageProgram::backward(double most) {
  std::fill(backward_.begin(), backward_.end(), kInfinity);
  after(stages_ - 1, positions_ - 1, false)[0] = 0;
  after(stages_ - 1, positions_ - 1, true)[0] = 0;
  std::vector<double> entry(width_);
  for (size_t i = stages_ - 1; i > 0; --i) {
    const std::vector<StageArc>& arcs = arcs_[i];
    for (size_t j = 0; j < arcs.size();) {
      // All arcs with this start and kind, then the boundary before them once.
      const uint32_t first = arcs[j].first;
      const Kind kind = arcs[j].kind;
      std::fill(entry.begin(), entry.end(), kInfinity);
      for (; j < arcs.size() && arcs[j].first == first && arcs[j].kind == kind; ++j) {
        const StageArc& arc = arcs[j];
        const double* const rest = after(i, arc.last, kind == Kind::kHub);
        for (size_t r = 0; r < arc.rows; ++r) {
          for (size_t l = 0; l < arc.columns; ++l) {
            const size_t at = r * arc.columns + l;
            if (arc.guard[at] <= most) entry[r] = std::min(entry[r], arc.value[at] + rest[l]);
          }
        }
      }
      if (first == 0) continue;
      double* const to = after(i - 1, first - 1, kind == Kind::kFollow);
      for (size_t k = 0; k < width_; ++k) {
        for (size_t l = 0; l < width_; ++l) {
          const double cost = cross_[first][k * width_ + l];
          if (cost <= most) to[k] = std::min(to[k], cost + entry[l]);
        }
      }
    }
  }
}

double StageProgram::through(size_t stage, const StageArc& arc, size_t row, size_t column) const {
  const size_t index = static_cast<size_t>(&arc - arcs_[stage].data());
  const double start = starts_[start_at_[stage] + index * width_ + row];
  const double rest =
      backward_[((stage * 2 + (arc.kind == Kind::kHub ? 1 : 0)) * positions_ + arc.last) * width_ +
                column];
  return start + arc.value[row * arc.columns + column] + rest;
}

size_t StageProgram::prune(double most, double low, double weight, double cutoff) {
  size_t dropped = 0;
  for (size_t i = 0; i < stages_; ++i) {
    std::vector<StageArc> kept;
    for (const StageArc& arc : arcs_[i]) {
      bool useful = false;
      for (size_t r = 0; r < arc.rows && !useful; ++r) {
        for (size_t l = 0; l < arc.columns && !useful; ++l) {
          const double guard = arc.guard[r * arc.columns + l];
          useful = guard <= most && through(i, arc, r, l) + weight * std::max(low, guard) < cutoff;
        }
      }
      if (useful) kept.push_back(arc);
    }
    dropped += arcs_[i].size() - kept.size();
    arcs_[i] = std::move(kept);
  }
  return dropped;
}

}  // namespace soapbox::miqp
