// The dynamic program over stages under a threshold on the bottleneck.
//
//   F_i[b][l] = min over arcs (a, b), k, ka of F_(i-1)[a-1][k] + cross_a[k][ka]
//   + W_(a,b)[ka][l],
//
// all terms <= T. An arc is a stage at one place of the pipeline with the
// layers [a, b] and a table W of its times. With tables of lower bounds the
// value is a lower bound on the sum of all p and o of plans whose bottleneck is
// at most T. Time O(arcs strategies^2 + starts strategies^2).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "strategies/miqp/stage_costs.h"

namespace soapbox::miqp {

struct StageArc {
  uint32_t first = 0;
  uint32_t last = 0;
  Kind kind = Kind::kPlain;
  uint32_t rows = 1;
  uint32_t columns = 1;
  const double* value = nullptr;  // [rows][columns]: what the stage adds to the sum
  const double* guard = nullptr;  // the same: the part of it that must not exceed T
};

struct StageStep {
  uint32_t arc = 0;  // of its stage
  uint32_t row = 0;
  uint32_t column = 0;
};

class StageProgram {
 public:
  // `cross` are tables [width][width] between positions u - 1 and u, by u.
  StageProgram(size_t positions, size_t stages, size_t width, std::vector<const double*> cross);

  // Arcs of each stage, by increasing first.
  std::vector<std::vector<StageArc>>& arcs() { return arcs_; }
  const std::vector<std::vector<StageArc>>& arcs() const { return arcs_; }

  // The least sum with every term at most `most`; infinite if there is none.
  double forward(double most);
  // One stage after the other of a plan that forward() found. REQUIRES: it was
  // finite.
  std::vector<StageStep> path(double most) const;
  // Fills what is_useful() needs, after forward(most).
  void backward(double most);

  // Of an entry of an arc: the least sum of a plan that uses it.
  double through(size_t stage, const StageArc& arc, size_t row, size_t column) const;
  // Keeps the arcs of which an entry leads below `cutoff`: sum + weight x
  // bottleneck, where the bottleneck is at least `low`. After backward(most).
  // Gives the number of arcs dropped.
  size_t prune(double most, double low, double weight, double cutoff);

 private:
  double* before(size_t stage, size_t position, bool hub) {
    return &forward_[((stage * 2 + (hub ? 1 : 0)) * positions_ + position) * width_];
  }
  const double* before(size_t stage, size_t position, bool hub) const {
    return &forward_[((stage * 2 + (hub ? 1 : 0)) * positions_ + position) * width_];
  }
  double* after(size_t stage, size_t position, bool hub) {
    return &backward_[((stage * 2 + (hub ? 1 : 0)) * positions_ + position) * width_];
  }
  // The least sum with which `arc` of a stage may start, by row.
  void entries(size_t stage, const StageArc& arc, double most, double* start) const;

  size_t positions_;
  size_t stages_;
  size_t width_;
  std::vector<const double*> cross_;
  std::vector<std::vector<StageArc>> arcs_;
  std::vector<double> forward_;   // [stage][hub in it][last position][last strategy]
  std::vector<double> backward_;  // the same: the least sum of what comes after
  std::vector<double> starts_;    // [stage][arc][row], of the last forward()
  std::vector<size_t> start_at_;
};

}  // namespace soapbox::miqp
