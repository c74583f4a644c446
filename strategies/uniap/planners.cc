#include "strategies/uniap/planners.h"

#include <algorithm>
#include <array>
#include <vector>

#include "sim/base/find_row.h"

namespace soapbox::strategies::uniap {
namespace {

bool any_stages(int32_t /*stages*/, int32_t /*devices*/) {
  return true;
}
bool one_stage(int32_t stages, int32_t /*devices*/) {
  return stages == 1;
}
bool one_device_per_stage(int32_t stages, int32_t devices) {
  return stages == devices;
}

constexpr std::array<PlannerRow, 6> kPlanners = {{
    {"alpa", "least traffic in each stage, then the best cut into stages", any_stages, plan_alpa},
    {"galvatron", "fixed stages, then a dynamic program in each", any_stages, plan_galvatron},
    {"inter_only", "a pipeline of single devices, cut exactly", one_device_per_stage, plan_miqp},
    {"intra_only", "no pipeline: the exact strategies of one stage", one_stage, plan_miqp},
    {"megatron", "one strategy for all layers, even stages", any_stages, plan_megatron},
    {"miqp", "UniAP: stages and strategies together, proven optimal", any_stages, plan_miqp},
}};

}  // namespace

std::span<const PlannerRow> planner_table() {
  return kPlanners;
}

bool is_planner(std::string_view name) {
  return std::any_of(kPlanners.begin(), kPlanners.end(),
                     [&](const PlannerRow& row) { return row.name == name; });
}

Result<const PlannerRow*> find_planner(std::string_view name) {
  return find_row(kPlanners, "planner", name);
}

std::vector<size_t> even_cut(const CostTables& tables) {
  const auto stages = static_cast<size_t>(tables.stages);
  std::vector<size_t> begin(stages, 0);
  if (tables.layers < stages) return {};
  // The ends ride along where there are enough inner layers for every stage.
  const bool ends = tables.layers >= stages + 2;
  const size_t inner = ends ? tables.layers - 2 : tables.layers;
  size_t next = ends ? 1 : 0;
  for (size_t i = 0; i < stages; ++i) {
    begin[i] = i == 0 ? 0 : next;
    next += inner / stages + (i >= stages - inner % stages ? 1 : 0);
  }
  return begin;
}

std::vector<size_t> memory_cut(const CostTables& tables) {
  const auto stages = static_cast<size_t>(tables.stages);
  if (tables.layers < stages) return {};
  std::vector<double> least;
  double mean = 0;
  for (size_t u = 0; u < tables.layers; ++u) {
    double bytes = std::numeric_limits<double>::infinity();
    for (size_t k = 0; k < tables.strategies.size(); ++k) {
      if (!tables.allowed[tables.at(u, k)]) continue;
      bytes = std::min(bytes, tables.layer_bytes(u, k, 0).as_double());
    }
    least.push_back(bytes);
    mean += bytes / static_cast<double>(stages);
  }
  std::vector<size_t> begin(stages, 0);
  size_t end = tables.layers;
  for (size_t i = stages - 1; i > 0; --i) {
    double filled = 0;
    size_t first = end;
    // Every stage keeps a layer, and leaves one for each stage before it.
    while (first > i && (first == end || mean - filled >= 0.5 * least[first - 1])) {
      filled += least[--first];
    }
    begin[i] = end = first;
  }
  return begin;
}

}  // namespace soapbox::strategies::uniap
