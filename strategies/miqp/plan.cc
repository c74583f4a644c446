#include "strategies/miqp/plan.h"

#include <algorithm>

#include "sim/base/str.h"

namespace soapbox::miqp {
namespace {

Error broken(std::string message) {
  return {ErrorCode::kInfeasible, std::move(message), {}};
}

// Constraints (6) and (8), and the strategies that are not allowed.
Status check_choices(const Instance& in, const Assignment& plan) {
  if (plan.stage.size() != in.layers || plan.strategy.size() != in.layers) {
    return broken(str_cat("a plan for ", plan.stage.size(), " stages and ", plan.strategy.size(),
                          " strategies of ", in.layers, " layers"));
  }
  for (size_t u = 0; u < in.layers; ++u) {
    if (plan.stage[u] >= in.stages) {
      return broken(str_cat("layer ", u, " is on stage ", plan.stage[u], " of ", in.stages));
    }
    if (plan.strategy[u] >= in.strategies || !in.allowed(u, plan.strategy[u])) {
      return broken(str_cat("layer ", u, " must not have strategy ", plan.strategy[u]));
    }
  }
  return ok();
}

Status add_edge(const Instance& in, const Assignment& plan, size_t e, Cost& cost) {
  const Edge edge = in.edges[e];
  const uint32_t from = plan.stage[edge.from];
  const uint32_t to = plan.stage[edge.to];
  const auto forbidden = [&](std::string_view where) {
    return broken(str_cat("edge ", e, " (", edge.from, " to ", edge.to,
                          ") must not join strategies ", plan.strategy[edge.from], " and ",
                          plan.strategy[edge.to], " ", where));
  };
  if (from > to) {
    return broken(str_cat("edge ", e, " runs backwards, from stage ", from, " to ", to));
  }
  if (from == to) {
    const int64_t time = in.reshard_at(e, plan.strategy[edge.from], plan.strategy[edge.to]);
    if (time == kNotAllowed) return forbidden("inside a stage");
    cost.stage_time[from] += time;
    return ok();
  }
  if (to > from + 1 && in.long_edges == LongEdges::kFree) return ok();
  const int64_t time = in.reshard_cross_at(e, plan.strategy[edge.from], plan.strategy[edge.to]);
  if (time == kNotAllowed) return forbidden("across stages");
  for (uint32_t j = from; j < to; ++j) cost.boundary_time[j] += time;
  return ok();
}

}  // namespace

Result<Cost> cost_of(const Instance& in, const Assignment& plan) {
  if (Status status = check_choices(in, plan); !status) return status.error();
  Cost cost;
  cost.stage_time.assign(in.stages, 0);
  cost.boundary_time.assign(in.stages - 1, 0);
  cost.stage_memory.assign(in.stages, 0);
  std::vector<size_t> layers(in.stages, 0);
  for (size_t u = 0; u < in.layers; ++u) {
    const uint32_t i = plan.stage[u];
    ++layers[i];
    cost.stage_time[i] += in.compute_at(u, plan.strategy[u]);
    cost.stage_memory[i] += in.memory_at(i, u, plan.strategy[u]);
  }
  for (size_t e = 0; e < in.edges.size(); ++e) {
    if (Status status = add_edge(in, plan, e, cost); !status) return status.error();
  }
  for (size_t i = 0; i < in.stages; ++i) {
    if (layers[i] == 0 && !in.empty_stages) return broken(str_cat("stage ", i, " has no layer"));
    if (cost.stage_memory[i] > in.memory_limit[i]) {
      return broken(str_cat("stage ", i, " needs ", real_memory(in, cost.stage_memory[i]),
                            " of memory; its limit is ", real_memory(in, in.memory_limit[i])));
    }
  }
  for (const std::vector<int64_t>* times : {&cost.stage_time, &cost.boundary_time}) {
    for (const int64_t time : *times) {
      cost.objective += time;
      cost.bottleneck = std::max(cost.bottleneck, time);
    }
  }
  cost.objective += (in.microbatches - 1) * cost.bottleneck;
  return cost;
}

}  // namespace soapbox::miqp
