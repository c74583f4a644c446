#include "strategies/miqp/start_plan.h"

#include <algorithm>

namespace soapbox::miqp {
namespace {

struct Walk {
  std::vector<uint32_t> strategy;  // [position]; empty: there is no path
  double weight = kInfinity;
  double memory = kInfinity;
};

// The path through all layers with the least time + lambda memory, cuts left
// out.
Walk walk(const StageCosts& costs, size_t group, double lambda) {
  const size_t n = costs.positions();
  const size_t count = costs.strategies();
  std::vector<double> weight(n * count, kInfinity);
  std::vector<uint32_t> via(n * count, 0);
  for (size_t u = 0; u < n; ++u) {
    const double* const time = costs.time(u);
    const double* const memory = costs.memory(group, u);
    const double* const table = costs.reshard(u);
    for (size_t l = 0; l < count; ++l) {
      double best = u == 0 ? 0 : kInfinity;
      for (size_t k = 0; u > 0 && k < count; ++k) {
        const double candidate = weight[(u - 1) * count + k] + table[k * count + l];
        if (candidate < best) {
          best = candidate;
          via[u * count + l] = static_cast<uint32_t>(k);
        }
      }
      weight[u * count + l] = best + time[l] + lambda * memory[l];
    }
  }
  Walk result;
  const auto last = weight.end() - static_cast<std::ptrdiff_t>(count);
  const auto least = std::min_element(last, weight.end());
  if (*least == kInfinity) return result;
  result.weight = *least;
  result.memory = 0;
  result.strategy.resize(n);
  auto k = static_cast<uint32_t>(least - last);
  for (size_t u = n; u-- > 0;) {
    result.strategy[u] = k;
    result.memory += costs.memory(group, u)[k];
    k = via[u * count + k];
  }
  return result;
}

// Stages for layers whose strategies are known: the least sum with no term
// above a threshold.
class Cutter {
 public:
  Cutter(const StageCosts& costs, const std::vector<uint32_t>& strategy)
      : costs_(costs), strategy_(strategy), n_(costs.positions()) {
    time_.assign(n_ + 1, 0);
    cross_.assign(n_, 0);
    for (size_t u = 0; u < n_; ++u) {
      const size_t pair = u == 0 ? 0 : strategy[u - 1] * costs.strategies() + strategy[u];
      step_.push_back(u == 0 ? 0 : costs.reshard(u)[pair]);
      if (u > 0) cross_[u] = costs.reshard_cross(u)[pair];
      time_[u + 1] = time_[u] + costs.time(u)[strategy[u]] + step_[u];
    }
    memory_.resize(costs.groups());
    for (size_t g = 0; g < costs.groups(); ++g) {
      memory_[g].assign(1, 0);
      for (size_t u = 0; u < n_; ++u) {
        memory_[g].push_back(memory_[g].back() + costs.memory(g, u)[strategy[u]]);
      }
    }
  }

  // The stage of each position, or nothing. `bottleneck` is the least possible
  // threshold where `only_bottleneck`, else a threshold.
  bool cut(bool only_bottleneck, double& threshold, std::vector<uint32_t>& stage) const {
    const size_t stages = costs_.stages();
    std::vector<double> best((stages + 1) * (n_ + 1), kInfinity);
    std::vector<size_t> from(best.size(), 0);
    best[0] = 0;
    for (size_t i = 0; i < stages; ++i) {
      const size_t group = costs_.group_of(i);
      for (size_t a = i; a < n_; ++a) {
        const double before = best[i * (n_ + 1) + a];
        if (before == kInfinity) continue;
        const double entry = a == 0 ? 0 : cross_[a];
        for (size_t b = a; b + (stages - i) <= n_; ++b) {
          const double time = time_[b + 1] - time_[a] - step_[a];
          if (memory_[group][b + 1] - memory_[group][a] > costs_.limit(group)) break;
          const double most = std::max(time, entry);
          if (!only_bottleneck && most > threshold) break;
          const double value = only_bottleneck ? std::max(before, most) : before + time + entry;
          double& to = best[(i + 1) * (n_ + 1) + b + 1];
          if (value < to) {
            to = value;
            from[(i + 1) * (n_ + 1) + b + 1] = a;
          }
        }
      }
    }
    const double value = best[stages * (n_ + 1) + n_];
    if (value == kInfinity) return false;
    if (only_bottleneck) threshold = value;
    stage.resize(n_);
    size_t end = n_;
    for (size_t i = stages; i > 0; --i) {
      const size_t a = from[i * (n_ + 1) + end];
      std::fill(stage.begin() + static_cast<std::ptrdiff_t>(a),
                stage.begin() + static_cast<std::ptrdiff_t>(end), static_cast<uint32_t>(i - 1));
      end = a;
    }
    return true;
  }

 private:
  const StageCosts& costs_;
  const std::vector<uint32_t>& strategy_;
  size_t n_;
  std::vector<double> step_;
  std::vector<double> time_;  // prefix sums, resharding included
  std::vector<double> cross_;
  std::vector<std::vector<double>> memory_;
};

}  // namespace

std::vector<std::vector<double>> choose_lambdas(const StageCosts& costs) {
  std::vector<std::vector<double>> lambdas;
  const double stages = static_cast<double>(costs.stages());
  for (size_t g = 0; g < costs.groups(); ++g) {
    std::vector<double>& chosen = lambdas.emplace_back(1, 0.0);
    const Walk fastest = walk(costs, g, 0);
    if (fastest.strategy.empty() || fastest.memory <= 0) continue;
    const double room = stages * costs.limit(g);
    double low = 0;
    double high = fastest.weight / fastest.memory / 1024;
    if (high <= 0) continue;
    if (fastest.memory > room) {
      for (int i = 0; i < 40 && walk(costs, g, high).memory > room; ++i) {
        low = high;
        high *= 4;
      }
      for (int i = 0; i < 12; ++i) {
        const double middle = (low + high) / 2;
        (walk(costs, g, middle).memory > room ? low : high) = middle;
      }
      for (const double factor : {0.3, 0.7, 1.0, 1.4, 2.5}) chosen.push_back(factor * high);
    } else {
      for (const double factor : {64.0, 512.0}) chosen.push_back(factor * high);
    }
  }
  return lambdas;
}

std::optional<Assignment> start_plan(const Instance& in, const Chain& chain,
                                     const StageCosts& costs,
                                     const std::vector<std::vector<double>>& lambdas) {
  std::optional<Assignment> best;
  int64_t objective = kNotAllowed;
  for (size_t g = 0; g < lambdas.size(); ++g) {
    for (const double lambda : lambdas[g]) {
      const Walk path = walk(costs, g, lambda);
      if (path.strategy.empty()) continue;
      const Cutter cutter(costs, path.strategy);
      double least = 0;
      std::vector<uint32_t> stage;
      if (!cutter.cut(true, least, stage)) continue;
      for (const double slack : {1.0, 1.02, 1.05, 1.15, 1e9}) {
        double threshold = least * slack;
        if (!cutter.cut(false, threshold, stage)) continue;
        Assignment plan;
        plan.stage.resize(in.layers);
        plan.strategy.resize(in.layers);
        for (size_t u = 0; u < in.layers; ++u) {
          plan.stage[chain.order[u]] = stage[u];
          plan.strategy[chain.order[u]] = path.strategy[u];
        }
        const Result<Cost> cost = cost_of(in, plan);
        if (!cost || cost->objective >= objective) continue;
        objective = cost->objective;
        best = std::move(plan);
      }
    }
  }
  return best;
}

double least_sum(const StageCosts& costs) {
  // Each edge inside or across, whichever is cheaper; memory is left out.
  const size_t count = costs.strategies();
  std::vector<double> before(count, 0);
  std::vector<double> after(count);
  for (size_t u = 0; u < costs.positions(); ++u) {
    for (size_t l = 0; l < count; ++l) {
      double best = u == 0 ? 0 : kInfinity;
      for (size_t k = 0; u > 0 && k < count; ++k) {
        const double step =
            std::min(costs.reshard(u)[k * count + l],
                     costs.stages() > 1 ? costs.reshard_cross(u)[k * count + l] : kInfinity);
        best = std::min(best, before[k] + step);
      }
      after[l] = best + costs.time(u)[l];
    }
    std::swap(before, after);
  }
  return *std::min_element(before.begin(), before.end());
}

}  // namespace soapbox::miqp
