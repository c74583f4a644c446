// The program as a mixed integer linear one: what other solvers read, and a
// second opinion.
//
// Binary y[u,i,k]: layer u is on stage i with strategy k. Products of two of
// them become
//
//   flow       x[e,i,k,j,l] >= 0 with both marginals, sum_(j,l) x = y[u,i,k]
//   and
//              sum_(i,k) x = y[v,j,l], stages j >= i only: order needs no rows;
//   mccormick  x >= y[u,i,k] + y[v,j,l] - 1 where the pair costs something, and
//   rows for the order.
//
// Both are exact. Columns p[i], o[j] and T (the bottleneck) are the objective's
// terms.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "strategies/miqp/plan.h"
#include "strategies/miqp/solution.h"

namespace soapbox::miqp {

enum class MilpForm { kFlow, kMcCormick };

struct MilpColumn {
  std::string name;
  double cost = 0;
  double upper = 0;  // the lower bound is 0
  bool is_integer = false;
};

struct MilpRow {
  std::string name;
  double lower = 0;
  double upper = 0;
  std::vector<std::pair<size_t, double>> terms;  // (column, coefficient)
};

struct MilpModel {
  std::vector<MilpColumn> columns;
  std::vector<MilpRow> rows;
  // The first columns, in order: y of layer, stage, strategy.
  struct Choice {
    uint32_t layer;
    uint32_t stage;
    uint32_t strategy;
  };
  std::vector<Choice> choices;
  double time_scale = 1;  // costs are times of the instance multiplied by this
};

// What is known not to be part of any plan that is wanted.
struct MilpPruning {
  std::vector<uint8_t> alive;  // [layer][stage][strategy]; empty: all are
  // The bottleneck and the objective; kNoObjective: not limited.
  int64_t most_bottleneck = kNoObjective;
  int64_t cutoff = kNoObjective;
};

// Times are multiplied by `time_scale`; memory rows are divided by their limit.
MilpModel build_milp(const Instance& instance, MilpForm form, double time_scale,
                     const MilpPruning& pruning = {});

// The model in CPLEX LP format and in free MPS format.
std::string to_lp(const MilpModel& model);
std::string to_mps(const MilpModel& model);

// The assignment that values of the columns stand for, or nothing if they are
// not near 0 and 1.
std::optional<Assignment> read_choices(const Instance& instance, const MilpModel& model,
                                       const double* values);

}  // namespace soapbox::miqp
