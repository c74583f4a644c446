// Megatron's grid (Shoeybi et al. 2019; Narayanan et al. 2021): tp x dp the same for all layers,
// equal stages, parameters replicated over the data ranks. O(strategies x layers).
#include "strategies/uniap/planners.h"

namespace soapbox::strategies::uniap {

CellAnswer plan_megatron(const CostTables& tables, const PlanLimits& /*limits*/) {
  CellAnswer answer;
  answer.solver = "grid";
  const std::vector<size_t> cut = even_cut(tables);
  if (cut.empty()) {
    answer.reason = "fewer layers than stages";
    return answer;
  }
  double best_s = kNoCutoff;
  for (size_t k = 0; k < tables.strategies.size(); ++k) {
    if (tables.strategies[k].fsdp) continue;
    const Assignment candidate{cut, std::vector<size_t>(tables.layers, k)};
    ++answer.labels;
    const std::optional<Objective> value = evaluate(tables, candidate);
    if (!value || value->total_s >= best_s) continue;
    best_s = value->total_s;
    answer.assignment = candidate;
  }
  if (!answer.assignment) answer.reason = "no point of the grid fits into memory";
  return answer;
}

}  // namespace soapbox::strategies::uniap
