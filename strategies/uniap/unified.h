// The unified optimisation process (UniAP, Algorithm 1): a planner is asked for every pipeline
// degree and every number of micro-batches, pp = 1 included, and the best answer is kept.
//
//   for pp in divisors of the devices, for c in divisors of the global batch:
//     build A, R, R', M;  solve;  keep the least
//
// With one stage every number of micro-batches is tried, too: fewer samples at once save memory. A
// cell's solver is given the best objective so far and stops as soon as it cannot be beaten. The
// bound of the whole is the least over all cells: the answer is proven if every cell is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "strategies/uniap/build_tables.h"
#include "strategies/uniap/planners.h"

namespace soapbox::strategies::uniap {

struct UnifiedRequest {
  const LayerCosts& costs;
  TableOptions options;
  int64_t global_batch = 1;
  const PlannerRow& planner;
  double cpu_limit_s = 60;          // of one cell, as the paper's solver has
  std::function<bool()> stop = {};  // asked now and then: true ends the search (Ctrl-C)
  // Fixed instead of tried, where given.
  std::optional<int32_t> stages = {};
  std::optional<int64_t> microbatches = {};
  // The planner's own objective, by which cells are compared; null: total_s of evaluate().
  double (*value)(const CostTables& tables, const Assignment& assignment) = nullptr;
};

// Why a cell has no plan. The paper marks them SOL x, MEM x and CUDA x; the last is a plan that
// does not run in the end, and only a simulation can tell.
enum class Failure : uint8_t {
  kNone,
  kNoSolution,  // SOL x: no assignment fits, proven by `reason`
  kGaveUp,      // MEM x: the planner ran out of its own time or memory
  kMissed,      // the planner found none although there is one
  kCutOff,      // nothing better than the best of other cells
};
std::string to_string(Failure failure);

struct Cell {
  int32_t stages = 1;
  int64_t microbatches = 1;
  Failure failure = Failure::kNone;
  double objective_s = 0;  // where there is a plan
  double bound_s = 0;
  bool proven = false;
  std::string reason;
};

struct UnifiedPlan {
  CostTables tables;
  Assignment assignment;
  Objective objective;
};

struct UnifiedOutcome {
  std::optional<UnifiedPlan> best;
  double bound_s = 0;  // no plan of any cell costs less; 0 where the planner proves nothing
  bool proven = false;
  bool interrupted = false;  // stopped when asked: `best` is the best so far
  double gap() const;
  std::string solver;
  std::vector<Cell> cells;
  double table_cpu_s = 0;   // building the tables
  double search_cpu_s = 0;  // planning, proofs included
  double proof_cpu_s = 0;   // the part of it after the best plan was found
  uint64_t labels = 0;
  // Where there is no plan at all: the failure of the cell that came nearest, in words.
  Failure failure = Failure::kNone;
  std::string infeasible_reason;
};

UnifiedOutcome unified_search(const UnifiedRequest& request);

// The cells of a search, in the order in which they are tried.
struct CellSize {
  int32_t stages = 1;
  int64_t microbatches = 1;
};
// "pp 2, 8 micro-batches": for people, and the key in a file of certificates.
std::string cell_name(int32_t stages, int64_t microbatches);
std::vector<CellSize> cell_sizes(const UnifiedRequest& request);

}  // namespace soapbox::strategies::uniap
