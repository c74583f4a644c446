// Galvatron's search on the tables of UniAP: the stages are cut first, by the number of layers
// where all inner layers are alike and by memory where they are not; then every stage is solved for
// its least sum of times within the memory limit (galvatron/memory_dp.h). It does not see the
// bottleneck, the transfers between stages, or edges other than those between neighbours: what it
// gives up against the joint optimisation.
#include <cmath>

#include "sim/base/str.h"
#include "strategies/galvatron/memory_dp.h"
#include "strategies/uniap/planners.h"

namespace soapbox::strategies::uniap {
namespace {

constexpr double kMb = 1 << 20;

galvatron::StageProblem stage_problem(const CostTables& tables, size_t stage, size_t first,
                                      size_t end, int64_t budget_mb) {
  const size_t n = tables.strategies.size();
  galvatron::StageProblem problem{end - first, n, {}, {}, {}};
  for (size_t u = first; u < end; ++u) {
    for (size_t k = 0; k < n; ++k) {
      const bool allowed = tables.allowed[tables.at(u, k)] != 0;
      const double mb = std::ceil(tables.layer_bytes(u, k, stage).as_double() / kMb);
      const bool fits = allowed && mb <= static_cast<double>(budget_mb);
      problem.memory_mb.push_back(fits ? static_cast<int32_t>(mb)
                                       : static_cast<int32_t>(budget_mb + 1));
      problem.intra_s.push_back(tables.compute_s[tables.at(u, k)]);
    }
    const size_t edge = u > first ? chain_edge(tables, u - 1) : 0;
    for (size_t entry = 0; entry < n * n; ++entry) {
      problem.transition_s.push_back(u > first ? tables.reshard_s[edge * n * n + entry] : 0);
    }
  }
  return problem;
}

bool inner_layers_alike(const CostTables& tables) {
  for (size_t u = 2; u + 1 < tables.layers; ++u) {
    if (!same_layer(tables, 1, u)) return false;
  }
  return true;
}

}  // namespace

CellAnswer plan_galvatron(const CostTables& tables, const PlanLimits& /*limits*/) {
  CellAnswer answer;
  answer.solver = "dynamic program";
  Assignment plan;
  plan.stage_begin = inner_layers_alike(tables) ? even_cut(tables) : memory_cut(tables);
  plan.strategy.resize(tables.layers);
  if (plan.stage_begin.empty()) {
    answer.reason = "fewer layers than stages";
    return answer;
  }
  for (size_t i = 0; i < plan.stage_begin.size(); ++i) {
    const size_t first = plan.stage_begin[i];
    const size_t end = plan.stage_end(i);
    const auto budget_mb = static_cast<int64_t>(tables.limit[i].as_double() / kMb);
    const galvatron::StageProblem problem = stage_problem(tables, i, first, end, budget_mb);
    answer.labels += problem.layers * problem.strategies * static_cast<uint64_t>(budget_mb);
    const auto choice = galvatron::MemoryDp(problem, budget_mb).best(budget_mb);
    if (!choice) {
      answer.reason = str_cat("stage ", i, " (layers ", first, " to ", end - 1,
                              ", cut before the search) does not fit into memory");
      return answer;
    }
    for (size_t u = first; u < end; ++u) plan.strategy[u] = choice->strategy[u - first];
  }
  answer.assignment = plan;
  return answer;
}

}  // namespace soapbox::strategies::uniap
