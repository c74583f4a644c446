#include "strategies/miqp/pareto.h"

#include <algorithm>
#include <utility>

#include "strategies/miqp/chain.h"
#include "strategies/miqp/explain.h"

namespace soapbox::miqp {
namespace {

using Point = std::pair<int64_t, int64_t>;  // (time, memory), or (sum, bottleneck)
using Front = std::vector<Point>;

// Keeps the points that no other is at most in both coordinates, by increasing
// first coordinate.
void keep_front(Front& points) {
  std::sort(points.begin(), points.end());
  Front front;
  for (const Point& point : points) {
    if (front.empty() || point.second < front.back().second) front.push_back(point);
  }
  points = std::move(front);
}

class ParetoProgram {
 public:
  explicit ParetoProgram(const Instance& in)
      : in_(in),
        chain_(make_chain(in)),
        count_(in.strategies),
        before_(in.layers, std::vector<Front>(count_)) {}

  int64_t optimum() {
    for (size_t i = 0; i < in_.stages; ++i) add_stage(i);
    int64_t best = kNoObjective;
    for (const Front& front : before_[in_.layers - 1]) {
      for (const auto& [sum, bottleneck] : front) {
        best = std::min(best, sum + (in_.microbatches - 1) * bottleneck);
      }
    }
    return best;
  }
  uint64_t labels() const { return labels_; }

 private:
  // before_[b][k]: the first `i` stages hold the layers up to b, whose strategy
  // is k.
  void add_stage(size_t i) {
    std::vector<std::vector<Front>> after(in_.layers, std::vector<Front>(count_));
    for (size_t a = 0; a < in_.layers; ++a) {
      if ((i == 0) != (a == 0)) continue;
      for (size_t first = 0; first < count_; ++first) extend(i, a, first, after);
    }
    for (std::vector<Front>& row : after) {
      for (Front& front : row) keep_front(front);
    }
    before_ = std::move(after);
  }

  // The (sum, bottleneck) with which stage i may start at layer a with a
  // strategy.
  Front entries(size_t i, size_t a, size_t first) const {
    if (i == 0) return {{0, 0}};
    Front front;
    for (size_t k = 0; k < count_; ++k) {
      const int64_t cross = chain_.reshard_cross[a][k * count_ + first];
      if (cross == kNotAllowed) continue;
      for (const auto& [sum, bottleneck] : before_[a - 1][k]) {
        front.emplace_back(sum + cross, std::max(bottleneck, cross));
      }
    }
    keep_front(front);
    return front;
  }

  void extend(size_t i, size_t a, size_t first, std::vector<std::vector<Front>>& after) {
    const Front start = entries(i, a, first);
    if (start.empty()) return;
    std::vector<Front> stage(count_);
    add_point(i, a, first, {0, 0}, stage[first]);
    for (size_t b = a; b < in_.layers; ++b) {
      if (b > a) stage = next_layer(i, b, stage);
      for (size_t k = 0; k < count_; ++k) {
        labels_ += stage[k].size();
        for (const auto& [sum, bottleneck] : start) {
          for (const auto& [time, memory] : stage[k]) {
            after[b][k].emplace_back(sum + time, std::max(bottleneck, time));
          }
        }
        if (after[b][k].size() > 4096) keep_front(after[b][k]);
      }
    }
  }

  void add_point(size_t i, size_t b, size_t k, Point point, Front& front) const {
    const uint32_t layer = chain_.order[b];
    if (!in_.allowed(layer, k)) return;
    const int64_t memory = point.second + in_.memory_at(i, layer, k);
    if (memory > in_.memory_limit[i]) return;
    front.emplace_back(point.first + in_.compute_at(layer, k), memory);
  }

  std::vector<Front> next_layer(size_t i, size_t b, const std::vector<Front>& stage) const {
    std::vector<Front> next(count_);
    for (size_t l = 0; l < count_; ++l) {
      for (size_t k = 0; k < count_; ++k) {
        const int64_t reshard = chain_.reshard[b][k * count_ + l];
        if (reshard == kNotAllowed) continue;
        for (const auto& [time, memory] : stage[k]) {
          add_point(i, b, l, {time + reshard, memory}, next[l]);
        }
      }
      keep_front(next[l]);
    }
    return next;
  }

  const Instance& in_;
  Chain chain_;
  size_t count_;
  std::vector<std::vector<Front>> before_;
  uint64_t labels_ = 0;
};

}  // namespace

bool pareto_applies(const Instance& instance) {
  const Chain chain = make_chain(instance);
  return chain.is_path && chain.skips.empty() && !instance.empty_stages;
}

Solution solve_pareto(const Instance& instance) {
  ParetoProgram program(instance);
  Solution solution;
  solution.solver = "pareto";
  solution.objective = program.optimum();
  solution.bound = solution.objective;
  solution.labels = program.labels();
  solution.status =
      solution.objective == kNoObjective ? SolveStatus::kInfeasible : SolveStatus::kOptimal;
  if (solution.objective == kNoObjective) solution.reason = explain_infeasible(instance);
  return solution;
}

}  // namespace soapbox::miqp
