#include "strategies/miqp/stage_path.h"

#include <algorithm>
#include <cmath>

namespace soapbox::miqp {
namespace {

// Paths from one end: for every (position, strategy) the least weight and the
// time and memory of the path that has it.
struct Reach {
  std::vector<double> weight;
  std::vector<double> time;
  std::vector<double> memory;
  std::vector<uint16_t> via;  // the neighbour's strategy on the path
};

// The layers of one query, from either end.
class Segment {
 public:
  Segment(const StageCosts& costs, const PathQuery& query)
      : costs_(costs),
        query_(query),
        count_(costs.strategies()),
        length_(query.last - query.first + 1) {}

  size_t length() const { return length_; }
  size_t count() const { return count_; }
  double limit() const { return costs_.limit(query_.group); }
  const double* time(size_t u) const { return costs_.time(query_.first + u, query_.kind); }
  const double* memory(size_t u) const { return costs_.memory(query_.group, query_.first + u); }
  // Between u - 1 and u: [strategy of u - 1][strategy of u].
  const double* reshard(size_t u) const { return costs_.reshard(query_.first + u); }
  bool may_start(size_t k) const { return allowed(query_.first_strategy, k); }
  bool may_end(size_t k) const { return allowed(query_.last_strategy, k); }
  size_t at(size_t u, size_t k) const { return u * count_ + k; }

  // Weights are time_weight x time + memory_weight x memory.
  Reach from_start(double time_weight, double memory_weight) const;
  // Paths to the end, the cost of the position itself left out.
  Reach to_end(double time_weight, double memory_weight) const;

 private:
  static bool allowed(int wanted, size_t k) {
    return wanted == kAnyStrategy || static_cast<size_t>(wanted) == k;
  }
  Reach empty() const {
    const size_t size = length_ * count_;
    return {std::vector<double>(size, kInfinity), std::vector<double>(size, kInfinity),
            std::vector<double>(size, kInfinity), std::vector<uint16_t>(size, 0)};
  }
  const StageCosts& costs_;
  const PathQuery& query_;
  size_t count_;
  size_t length_;
};

Reach Segment::from_start(double time_weight, double memory_weight) const {
  Reach reach = empty();
  for (size_t k = 0; k < count_; ++k) {
    if (!may_start(k) || time(0)[k] == kInfinity) continue;
    reach.time[k] = time(0)[k];
    reach.memory[k] = memory(0)[k];
    reach.weight[k] = time_weight * reach.time[k] + memory_weight * reach.memory[k];
  }
  std::vector<double> best(count_);
  for (size_t u = 1; u < length_; ++u) {
    std::fill(best.begin(), best.end(), kInfinity);
    uint16_t* via = &reach.via[at(u, 0)];
    const double* table = reshard(u);
    for (size_t k = 0; k < count_; ++k) {
      const double weight = reach.weight[at(u - 1, k)];
      if (weight == kInfinity) continue;
      for (size_t l = 0; l < count_; ++l) {
        const double candidate = time_weight == 0 && table[k * count_ + l] != kInfinity
                                     ? weight
                                     : weight + time_weight * table[k * count_ + l];
        if (candidate < best[l]) {
          best[l] = candidate;
          via[l] = static_cast<uint16_t>(k);
        }
      }
    }
    for (size_t l = 0; l < count_; ++l) {
      if (best[l] == kInfinity || time(u)[l] == kInfinity) continue;
      const size_t before = at(u - 1, via[l]);
      const double step = table[via[l] * count_ + l] + time(u)[l];
      reach.time[at(u, l)] = reach.time[before] + step;
      reach.memory[at(u, l)] = reach.memory[before] + memory(u)[l];
      reach.weight[at(u, l)] = best[l] + time_weight * time(u)[l] + memory_weight * memory(u)[l];
    }
  }
  return reach;
}

Reach Segment::to_end(double time_weight, double memory_weight) const {
  Reach reach = empty();
  for (size_t k = 0; k < count_; ++k) {
    if (!may_end(k)) continue;
    const size_t end = at(length_ - 1, k);
    reach.time[end] = reach.memory[end] = reach.weight[end] = 0;
  }
  std::vector<double> after(count_);
  for (size_t u = length_ - 1; u-- > 0;) {
    const double* table = reshard(u + 1);
    for (size_t l = 0; l < count_; ++l) {
      const size_t next = at(u + 1, l);
      after[l] = time(u + 1)[l] == kInfinity ? kInfinity
                                             : reach.weight[next] + time_weight * time(u + 1)[l] +
                                                   memory_weight * memory(u + 1)[l];
    }
    for (size_t k = 0; k < count_; ++k) {
      double best = kInfinity;
      uint16_t via = 0;
      for (size_t l = 0; l < count_; ++l) {
        if (table[k * count_ + l] == kInfinity) continue;
        const double candidate = after[l] + time_weight * table[k * count_ + l];
        if (candidate < best) {
          best = candidate;
          via = static_cast<uint16_t>(l);
        }
      }
      if (best == kInfinity) continue;
      const size_t next = at(u + 1, via);
      reach.weight[at(u, k)] = best;
      reach.via[at(u, k)] = via;
      reach.time[at(u, k)] = reach.time[next] + table[k * count_ + via] + time(u + 1)[via];
      reach.memory[at(u, k)] = reach.memory[next] + memory(u + 1)[via];
    }
  }
  return reach;
}

struct Label {
  double time;
  double memory;
  uint32_t parent;
  uint16_t strategy;
};
constexpr uint32_t kNoLabel = ~uint32_t{0};

class PathSolver {
 public:
  PathSolver(const StageCosts& costs, const PathQuery& query)
      : query_(query), segment_(costs, query) {}

  PathAnswer run() {
    search_lambda();
    if (answer_.lower >= best() || answer_.lower == kInfinity) return finish(true);
    prepare_completions();
    // A narrow pass for a good path first, then all labels.
    set_labels(32);
    if (answer_.lower >= best()) return finish(true);
    return finish(set_labels(0));
  }

 private:
  double best() const { return std::min(answer_.upper, query_.cut); }

  PathAnswer finish(bool complete) {
    // Nothing shorter than best() exists: either `path` is the shortest, or all
    // reach the cut.
    if (complete) answer_.lower = std::max(answer_.lower, best());
    answer_.lower = std::min(answer_.lower, answer_.upper);
    return std::move(answer_);
  }

  // How far a Lagrangian value may be off: each of the path's additions and
  // products rounds.
  double rounding(double value) const {
    return (std::abs(value) + lambda_limit()) * static_cast<double>(segment_.length() + 2) *
           0x1.0p-50;
  }
  double lambda_limit() const { return answer_.lambda * segment_.limit(); }

  // The end of a path with the least weight, or false.
  static bool best_end(const Segment& segment, const Reach& reach, size_t& strategy) {
    const size_t end = segment.length() - 1;
    double least = kInfinity;
    for (size_t k = 0; k < segment.count(); ++k) {
      if (segment.may_end(k) && reach.weight[segment.at(end, k)] < least) {
        least = reach.weight[segment.at(end, k)];
        strategy = k;
      }
    }
    return least != kInfinity;
  }

  void take_path(const Reach& reach, size_t strategy) {
    size_t k = strategy;
    std::vector<uint16_t> path(segment_.length());
    for (size_t u = segment_.length(); u-- > 0;) {
      path[u] = static_cast<uint16_t>(k);
      k = reach.via[segment_.at(u, k)];
    }
    answer_.upper = reach.time[segment_.at(segment_.length() - 1, strategy)];
    answer_.path = std::move(path);
  }

  // Looks at one multiplier: a bound, and a path if it fits. Gives the path's
  // time and memory.
  bool probe(double time_weight, double lambda, double& time, double& memory) {
    const Reach reach = segment_.from_start(time_weight, lambda);
    size_t strategy = 0;
    if (!best_end(segment_, reach, strategy)) return false;
    const size_t end = segment_.at(segment_.length() - 1, strategy);
    time = reach.time[end];
    memory = reach.memory[end];
    if (memory <= segment_.limit() && time < answer_.upper) take_path(reach, strategy);
    if (time_weight == 0) return true;
    const double value = reach.weight[end] - lambda * segment_.limit();
    const double slack = (std::abs(reach.weight[end]) + lambda * segment_.limit()) *
                         static_cast<double>(segment_.length() + 2) * 0x1.0p-50;
    const double bound = lambda == 0 ? value : std::ceil(value - slack);
    if (bound > answer_.lower) {
      answer_.lower = bound;
      answer_.lambda = lambda;
    }
    return true;
  }

  void search_lambda() {
    double fast_time = 0;
    double fast_memory = 0;
    if (!probe(1, 0, fast_time, fast_memory)) {
      answer_.lower = kInfinity;
      return;
    }
    if (fast_memory <= segment_.limit() || answer_.lower >= query_.cut) return;
    double small_time = 0;
    double small_memory = 0;
    probe(0, 1, small_time, small_memory);
    if (small_memory > segment_.limit()) {
      answer_.lower = kInfinity;
      return;
    }
    for (int round = 0; round < 40; ++round) {
      const double lambda = (small_time - fast_time) / (fast_memory - small_memory);
      double time = 0;
      double memory = 0;
      probe(1, lambda, time, memory);
      if (answer_.lower >= best()) return;
      const bool fits = memory <= segment_.limit();
      if (fits ? time >= small_time || memory <= small_memory
               : time <= fast_time || memory >= fast_memory) {
        return;  // one of the two ends again: the multiplier is the best
      }
      (fits ? small_time : fast_time) = time;
      (fits ? small_memory : fast_memory) = memory;
    }
  }

  void prepare_completions() {
    to_end_[0] = segment_.to_end(1, 0);
    to_end_[1] = segment_.to_end(0, 1);
    to_end_[2] = segment_.to_end(1, answer_.lambda);
    from_start_[0] = segment_.from_start(1, 0);
    from_start_[1] = segment_.from_start(0, 1);
    from_start_[2] = segment_.from_start(1, answer_.lambda);
  }

  // Whether a label of weight (time, memory) can still lead below best(); the
  // rest of the path has the three completions `rest`, of which `time_off` and
  // `memory_off` are not part.
  bool useful(double time, double memory, const Reach* rest, size_t at, double time_off,
              double memory_off) const {
    if (memory + rest[1].weight[at] - memory_off > segment_.limit()) return false;
    const double most = best() - 1;
    if (time + rest[0].weight[at] - time_off > most) return false;
    const double lambda = answer_.lambda;
    const double value =
        time + lambda * memory + rest[2].weight[at] - time_off - lambda * memory_off;
    return value - lambda_limit() <= most + rounding(value);
  }

  using Fronts = std::vector<std::vector<uint32_t>>;  // [strategy] -> labels by time

  // Pareto front of labels in `front`; if `width` is not 0, thinned to as many.
  void keep_front(std::vector<uint32_t>& front, size_t width) {
    std::sort(front.begin(), front.end(), [this](uint32_t a, uint32_t b) {
      const Label& x = pool_[a];
      const Label& y = pool_[b];
      return x.time != y.time ? x.time < y.time
                              : (x.memory != y.memory ? x.memory < y.memory : a < b);
    });
    size_t kept = 0;
    for (const uint32_t label : front) {
      if (kept == 0 || pool_[label].memory < pool_[front[kept - 1]].memory) front[kept++] = label;
    }
    front.resize(kept);
    if (width == 0 || kept <= width) return;
    for (size_t i = 0; i < width; ++i) front[i] = front[i * (kept - 1) / (width - 1)];
    front.resize(width);
  }

  uint32_t add_label(double time, double memory, uint32_t parent, size_t strategy) {
    pool_.push_back({time, memory, parent, static_cast<uint16_t>(strategy)});
    return static_cast<uint32_t>(pool_.size() - 1);
  }

  // All labels from the start up to `middle`, and from the end down to it,
  // joined there. False if the limit of labels was reached.
  bool set_labels(size_t width) {
    pool_.clear();
    const size_t middle = segment_.length() / 2;
    Fronts forward(segment_.count());
    Fronts backward(segment_.count());
    const bool complete =
        extend_forward(middle, width, forward) && extend_backward(middle, width, backward);
    answer_.labels += pool_.size();
    if (!complete) return false;
    join(middle, forward, backward);
    return width == 0;
  }

  bool full() const { return pool_.size() > query_.label_limit; }

  bool extend_forward(size_t middle, size_t width, Fronts& fronts) {
    const size_t count = segment_.count();
    for (size_t k = 0; k < count; ++k) {
      const double time = segment_.time(0)[k];
      if (!segment_.may_start(k) || time == kInfinity) continue;
      const double memory = segment_.memory(0)[k];
      if (useful(time, memory, to_end_, k, 0, 0)) {
        fronts[k].push_back(add_label(time, memory, kNoLabel, k));
      }
    }
    for (size_t u = 1; u <= middle; ++u) {
      Fronts next(count);
      for (size_t l = 0; l < count; ++l) {
        if (segment_.time(u)[l] == kInfinity) continue;
        for (size_t k = 0; k < count; ++k) {
          const double step = segment_.reshard(u)[k * count + l] + segment_.time(u)[l];
          if (step == kInfinity) continue;
          for (const uint32_t from : fronts[k]) {
            const double time = pool_[from].time + step;
            const double memory = pool_[from].memory + segment_.memory(u)[l];
            if (useful(time, memory, to_end_, segment_.at(u, l), 0, 0)) {
              next[l].push_back(add_label(time, memory, from, l));
            }
          }
        }
        keep_front(next[l], width);
        if (full()) return false;
      }
      fronts = std::move(next);
    }
    return true;
  }

  // Labels that hold the costs after a position, its own left out: what join()
  // adds.
  bool extend_backward(size_t middle, size_t width, Fronts& fronts) {
    const size_t count = segment_.count();
    const size_t end = segment_.length() - 1;
    for (size_t k = 0; k < count; ++k) {
      if (segment_.may_end(k) && useful(0, 0, from_start_, segment_.at(end, k), 0, 0)) {
        fronts[k].push_back(add_label(0, 0, kNoLabel, k));
      }
    }
    for (size_t u = end; u-- > middle;) {
      Fronts before(count);
      for (size_t k = 0; k < count; ++k) {
        for (size_t l = 0; l < count; ++l) {
          const double step = segment_.reshard(u + 1)[k * count + l] + segment_.time(u + 1)[l];
          if (step == kInfinity) continue;
          for (const uint32_t from : fronts[l]) {
            const double time = pool_[from].time + step;
            const double memory = pool_[from].memory + segment_.memory(u + 1)[l];
            if (useful(time, memory, from_start_, segment_.at(u, k), 0, 0)) {
              before[k].push_back(add_label(time, memory, from, k));
            }
          }
        }
        keep_front(before[k], width);
        if (full()) return false;
      }
      fronts = std::move(before);
    }
    return true;
  }

  void join(size_t middle, const Fronts& forward, const Fronts& backward) {
    uint32_t best_head = kNoLabel;
    uint32_t best_tail = kNoLabel;
    double least = best();
    for (size_t k = 0; k < segment_.count(); ++k) {
      // By increasing time forward, the room left grows, and earlier tails
      // become possible.
      size_t tail = backward[k].size();
      for (const uint32_t head : forward[k]) {
        const double room = segment_.limit() - pool_[head].memory;
        while (tail > 0 && pool_[backward[k][tail - 1]].memory <= room) --tail;
        if (tail == backward[k].size()) continue;
        const double time = pool_[head].time + pool_[backward[k][tail]].time;
        if (time < least) {
          least = time;
          best_head = head;
          best_tail = backward[k][tail];
        }
      }
    }
    if (best_head == kNoLabel) return;
    answer_.upper = least;
    answer_.path.assign(segment_.length(), 0);
    size_t u = middle;
    for (uint32_t label = best_head; label != kNoLabel; label = pool_[label].parent) {
      answer_.path[u--] = pool_[label].strategy;
    }
    u = middle;
    for (uint32_t label = best_tail; label != kNoLabel; label = pool_[label].parent) {
      answer_.path[u++] = pool_[label].strategy;
    }
  }

  const PathQuery& query_;
  Segment segment_;
  PathAnswer answer_;
  Reach to_end_[3];  // by time, by memory, by time + lambda memory
  Reach from_start_[3];
  std::vector<Label> pool_;
};

}  // namespace

PathAnswer shortest_path(const StageCosts& costs, const PathQuery& query) {
  return PathSolver(costs, query).run();
}

}  // namespace soapbox::miqp
