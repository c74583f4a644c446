// The planners that are compared: UniAP's exact optimisation, its rivals and its ablations, all
// under one cost model and one judge (cost_tables.h). Adding one: a function, its row here.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/base/result.h"
#include "strategies/uniap/cost_tables.h"

namespace soapbox::strategies::uniap {

inline constexpr double kNoCutoff = std::numeric_limits<double>::infinity();

// What a planner says of one pipeline degree and number of micro-batches.
struct CellAnswer {
  std::optional<Assignment> assignment;  // fits, by evaluate(); nothing: none was found
  // No assignment costs less, proven; 0 where the planner proves nothing.
  double bound_s = 0;
  bool proven = false;  // `assignment` is optimal, or there is none below the cut-off
  std::string reason;   // why there is none
  std::string solver;
  uint64_t labels = 0;     // partial plans that were looked at
  double proof_cpu_s = 0;  // spent after the assignment was found, where the planner tells
};

struct PlanLimits {
  double cutoff_s = kNoCutoff;  // answers at or above it are of no use
  double cpu_s = 60;
  std::function<bool()> stop = {};  // asked now and then: true ends the planning (Ctrl-C)
  bool stopped() const { return stop && stop(); }
};

struct PlannerRow {
  std::string_view name;
  std::string_view summary;
  // Whether it considers this many stages.
  bool (*considers)(int32_t stages, int32_t devices);
  CellAnswer (*plan)(const CostTables& tables, const PlanLimits& limits);
};

std::span<const PlannerRow> planner_table();  // sorted by name
Result<const PlannerRow*> find_planner(std::string_view name);
bool is_planner(std::string_view name);

// The exact optimum of Eq. 1-9 (strategies/miqp).
CellAnswer plan_miqp(const CostTables& tables, const PlanLimits& limits);
// Stages cut beforehand, then Galvatron's dynamic program in each.
CellAnswer plan_galvatron(const CostTables& tables, const PlanLimits& limits);
// Least traffic within every possible stage, then the best cut (Alpa).
CellAnswer plan_alpa(const CostTables& tables, const PlanLimits& limits);
// One strategy for all layers, even stages, nothing sharded.
CellAnswer plan_megatron(const CostTables& tables, const PlanLimits& limits);

// Cuts with equal numbers of the inner layers: the first stage takes layer 0 and the last stage the
// last layer besides; the last stages take the remainder.
std::vector<size_t> even_cut(const CostTables& tables);
// Galvatron's cut for layers of several types: filled from the last stage backwards up to the mean
// of the memory that leanest strategies need.
std::vector<size_t> memory_cut(const CostTables& tables);

}  // namespace soapbox::strategies::uniap
