#include "strategies/miqp/brute.h"

#include <algorithm>

#include "strategies/miqp/explain.h"
#include "strategies/miqp/stopwatch.h"

namespace soapbox::miqp {
namespace {

class Enumeration {
 public:
  Enumeration(const Instance& in, const SolveOptions& options)
      : in_(in),
        stopwatch_(options.time_limit_s, options.stop),
        order_(topological_order(in)),
        incoming_(in.layers),
        stage_memory_(in.stages, 0) {
    for (const Edge edge : in.edges) incoming_[edge.to].push_back(edge.from);
    plan_.stage.assign(in.layers, 0);
    plan_.strategy.assign(in.layers, 0);
  }

  Solution run(int64_t cutoff) {
    solution_.solver = "brute";
    limit_ = cutoff;
    choose(0);
    solution_.cpu_s = stopwatch_.elapsed_s();
    solution_.proof_cpu_s = solution_.cpu_s - solution_.search_cpu_s;
    if (stopped_) return std::move(solution_);
    solution_.status = SolveStatus::kOptimal;
    solution_.bound = solution_.objective;
    if (!solution_.plan && cutoff != kNoObjective) {
      solution_.status = SolveStatus::kCutOff;
      solution_.bound = cutoff;
    } else if (!solution_.plan) {
      solution_.status = SolveStatus::kInfeasible;
      solution_.reason = explain_infeasible(in_);
    }
    return std::move(solution_);
  }

 private:
  void choose(size_t position) {
    if (stopped_) return;
    if (position == in_.layers) {
      if (const Result<Cost> cost = cost_of(in_, plan_); cost && cost->objective < limit_) {
        limit_ = solution_.objective = cost->objective;
        solution_.plan = plan_;
        solution_.search_cpu_s = stopwatch_.elapsed_s();
      }
      return;
    }
    const uint32_t u = order_[position];
    uint32_t first = 0;
    for (const uint32_t before : incoming_[u]) first = std::max(first, plan_.stage[before]);
    for (uint32_t i = first; i < in_.stages; ++i) {
      for (uint32_t k = 0; k < in_.strategies; ++k) {
        if (!in_.allowed(u, k)) continue;
        if ((++solution_.labels & 0xffff) == 0 && stopwatch_.expired()) stopped_ = true;
        const int64_t memory = in_.memory_at(i, u, k);
        if (stage_memory_[i] + memory > in_.memory_limit[i]) continue;
        plan_.stage[u] = i;
        plan_.strategy[u] = k;
        stage_memory_[i] += memory;
        choose(position + 1);
        stage_memory_[i] -= memory;
      }
    }
  }

  const Instance& in_;
  Stopwatch stopwatch_;
  std::vector<uint32_t> order_;
  std::vector<std::vector<uint32_t>> incoming_;
  std::vector<int64_t> stage_memory_;
  Assignment plan_;
  Solution solution_;
  int64_t limit_ = kNoObjective;
  bool stopped_ = false;
};

}  // namespace

Solution solve_brute(const Instance& instance, const SolveOptions& options) {
  return Enumeration(instance, options).run(options.cutoff);
}

}  // namespace soapbox::miqp
