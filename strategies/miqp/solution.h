// What a solver of the program answers, and how long it may take.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "strategies/miqp/plan.h"

namespace soapbox::miqp {

struct MilpBackend;  // milp_backend.h

inline constexpr int64_t kNoObjective = std::numeric_limits<int64_t>::max();

struct SolveOptions {
  double time_limit_s = 1e9;  // CPU time of this thread
  // Answers at or above it are of no use: the best objective known so far, e.g.
  // of another pipeline degree. kNoObjective: none is known.
  int64_t cutoff = kNoObjective;
  // Asked now and then: true ends the search as the time limit does (Ctrl-C).
  std::function<bool()> stop = {};
  // Where a linear program is solved; null: by default_milp_backend().
  const MilpBackend* milp_backend = nullptr;
};

enum class SolveStatus {
  kOptimal,     // `plan` is the optimum, proven
  kCutOff,      // no plan is below the cutoff, proven
  kInfeasible,  // there is no plan, proven; `reason` says why
  kLimit,       // stopped early: `plan` if there is one, and a bound that holds
};

struct Solution {
  SolveStatus status = SolveStatus::kLimit;
  std::optional<Assignment> plan;
  int64_t objective = kNoObjective;  // of `plan`, by cost_of()
  int64_t bound = 0;                 // no plan costs less
  std::string reason;
  std::string solver;
  uint64_t labels = 0;  // partial plans that were looked at
  uint64_t nodes = 0;   // intervals of the bottleneck, or nodes of a tree
  double cpu_s = 0;
  // Parts of it: the bounds of all stages; until the plan was found; the rest,
  // which proves it. Solvers that do not tell have all of it in the search.
  double table_cpu_s = 0;
  double search_cpu_s = 0;
  double proof_cpu_s = 0;

  bool proven() const { return status != SolveStatus::kLimit; }
  double gap() const {
    if (proven() || objective == kNoObjective) return proven() ? 0 : 1;
    if (objective == 0) return 0;
    return static_cast<double>(objective - bound) / static_cast<double>(objective);
  }
};

}  // namespace soapbox::miqp
