#include "strategies/uniap/cost_tables.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox::strategies::uniap {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// Bytes by layer under its leanest allowed strategy on a stage; empty where a layer has none.
std::vector<int64_t> least_bytes(const CostTables& tables, size_t stage) {
  std::vector<int64_t> least(tables.layers, kNever);
  for (size_t u = 0; u < tables.layers; ++u) {
    for (size_t k = 0; k < tables.strategies.size(); ++k) {
      if (!tables.allowed[tables.at(u, k)]) continue;
      least[u] = std::min(least[u], tables.layer_bytes(u, k, stage).count());
    }
    if (least[u] == kNever) return {};
  }
  return least;
}

// What the layers [first, last] take on a stage under their leanest strategies.
LayerBytes leanest_parts(const CostTables& tables, size_t stage, size_t first, size_t last) {
  LayerBytes parts;
  for (size_t u = first; u <= last; ++u) {
    size_t best = tables.strategies.size();
    for (size_t k = 0; k < tables.strategies.size(); ++k) {
      if (!tables.allowed[tables.at(u, k)]) continue;
      if (best == tables.strategies.size() ||
          tables.layer_bytes(u, k, stage) < tables.layer_bytes(u, best, stage)) {
        best = k;
      }
    }
    const LayerBytes& layer = tables.memory[tables.at(u, best)];
    parts.states += layer.states;
    parts.activation += layer.activation * tables.in_flight[stage];
  }
  return parts;
}

std::string gigabytes(Bytes bytes) {
  const auto hundredths = static_cast<int64_t>(bytes.as_double() / 1e7 + 0.5);
  const std::string fraction = std::to_string(100 + hundredths % 100).substr(1);
  return str_cat(hundredths / 100, ".", fraction, " GB");
}

// The cut that minimises the largest excess over the limit, as the last layers of all stages.
// excess[i][v]: least worst excess of stages 0..i over layers 0..v.
std::vector<size_t> leanest_cut(const CostTables& tables) {
  const auto stages = static_cast<size_t>(tables.stages);
  std::vector<std::vector<int64_t>> excess(stages, std::vector<int64_t>(tables.layers, kNever));
  std::vector<std::vector<size_t>> from(stages, std::vector<size_t>(tables.layers, 0));
  for (size_t i = 0; i < stages; ++i) {
    const std::vector<int64_t> least = least_bytes(tables, i);
    const int64_t limit = tables.limit[i].count();
    for (size_t v = i; v < tables.layers; ++v) {
      int64_t bytes = 0;
      for (size_t u = v + 1; u-- > i;) {
        bytes += least[u];
        if ((i == 0) != (u == 0)) continue;
        const int64_t before = i == 0 ? -kNever : excess[i - 1][u - 1];
        const int64_t worst = std::max(before, bytes - limit);
        if (worst < excess[i][v]) {
          excess[i][v] = worst;
          from[i][v] = u;
        }
      }
    }
  }
  std::vector<size_t> begin(stages);
  size_t last = tables.layers - 1;
  for (size_t i = stages; i-- > 0;) {
    begin[i] = from[i][last];
    last = begin[i] == 0 ? 0 : begin[i] - 1;
  }
  return begin;
}

}  // namespace

std::string to_string(const Strategy& s) {
  std::vector<std::string> parts;
  if (s.tp > 1) parts.push_back(str_cat("tp", s.tp));
  if (s.dp > 1) parts.push_back(str_cat("dp", s.dp));
  if (s.fsdp) parts.push_back("fsdp");
  return parts.empty() ? "single" : join(parts, " ");
}

std::vector<Strategy> stage_strategies(int32_t devices) {
  std::vector<Strategy> all;
  for (int32_t tp = 1; tp <= devices; ++tp) {
    if (devices % tp != 0) continue;
    all.push_back({.tp = tp, .dp = devices / tp, .fsdp = false});
    if (tp < devices) all.push_back({.tp = tp, .dp = devices / tp, .fsdp = true});
  }
  return all;
}

Bytes CostTables::layer_bytes(size_t layer, size_t strategy, size_t stage) const {
  const LayerBytes& bytes = memory[at(layer, strategy)];
  return bytes.states + bytes.activation * in_flight[stage];
}

size_t chain_edge(const CostTables& tables, size_t u) {
  const Edge edge{u, u + 1};
  const auto found = std::lower_bound(
      tables.edges.begin(), tables.edges.end(), edge,
      [](Edge a, Edge b) { return std::tie(a.from, a.to) < std::tie(b.from, b.to); });
  SOAPBOX_CHECK(found != tables.edges.end() && *found == edge, "a gap in the chain of layers");
  return static_cast<size_t>(found - tables.edges.begin());
}

bool same_layer(const CostTables& tables, size_t a, size_t b) {
  for (size_t k = 0; k < tables.strategies.size(); ++k) {
    const size_t x = tables.at(a, k);
    const size_t y = tables.at(b, k);
    if (tables.allowed[x] != tables.allowed[y] || tables.compute_s[x] != tables.compute_s[y] ||
        tables.memory[x] != tables.memory[y]) {
      return false;
    }
  }
  return true;
}

Objective value_of(const CostTables& tables, const Assignment& a) {
  const auto stages = static_cast<size_t>(tables.stages);
  SOAPBOX_CHECK(a.stage_begin.size() == stages && a.strategy.size() == tables.layers,
                "an assignment of other tables");
  Objective value;
  value.compute_stage_s.resize(stages);
  value.communication_stage_s.resize(stages - 1);
  value.memory.resize(stages);
  std::vector<size_t> stage_of(tables.layers);
  for (size_t i = 0; i < stages; ++i) {
    SOAPBOX_CHECK(a.stage_begin[i] < a.stage_end(i), "an empty stage");
    for (size_t u = a.stage_begin[i]; u < a.stage_end(i); ++u) {
      stage_of[u] = i;
      value.compute_stage_s[i] += tables.compute_s[tables.at(u, a.strategy[u])];
      value.memory[i] += tables.layer_bytes(u, a.strategy[u], i);
    }
  }
  for (size_t e = 0; e < tables.edges.size(); ++e) {
    const auto [u, v] = tables.edges[e];
    const size_t entry = tables.at(e, a.strategy[u], a.strategy[v]);
    if (stage_of[u] == stage_of[v]) value.compute_stage_s[stage_of[u]] += tables.reshard_s[entry];
    if (stage_of[u] + 1 == stage_of[v]) {
      value.communication_stage_s[stage_of[u]] += tables.reshard_cross_s[entry];
    }
  }
  double bottleneck = 0;
  for (const auto* terms : {&value.compute_stage_s, &value.communication_stage_s}) {
    for (const double s : *terms) {
      value.total_s += s;
      bottleneck = std::max(bottleneck, s);
    }
  }
  value.total_s += static_cast<double>(tables.microbatches - 1) * bottleneck;
  return value;
}

std::optional<Objective> evaluate(const CostTables& tables, const Assignment& assignment) {
  for (size_t u = 0; u < tables.layers; ++u) {
    if (!tables.allowed[tables.at(u, assignment.strategy[u])]) return std::nullopt;
  }
  Objective value = value_of(tables, assignment);
  for (size_t i = 0; i < value.memory.size(); ++i) {
    if (value.memory[i] > tables.limit[i]) return std::nullopt;
  }
  return value;
}

std::optional<Shortage> shortage(const CostTables& tables) {
  if (tables.layers < static_cast<size_t>(tables.stages)) {
    Shortage why;
    why.not_splittable = true;
    return why;
  }
  for (size_t u = 0; u < tables.layers; ++u) {
    bool any = false;
    for (size_t k = 0; k < tables.strategies.size(); ++k)
      any |= tables.allowed[tables.at(u, k)] != 0;
    if (any) continue;
    Shortage why;
    why.first_layer = why.last_layer = u;
    why.not_splittable = true;
    return why;
  }
  const std::vector<size_t> begin = leanest_cut(tables);
  std::optional<Shortage> worst;
  for (size_t i = 0; i < begin.size(); ++i) {
    const size_t last = (i + 1 < begin.size() ? begin[i + 1] : tables.layers) - 1;
    const LayerBytes parts = leanest_parts(tables, i, begin[i], last);
    Shortage stage{.stage = static_cast<int32_t>(i),
                   .first_layer = begin[i],
                   .last_layer = last,
                   .parts = parts,
                   .needed = parts.states + parts.activation,
                   .limit = tables.limit[i]};
    if (stage.needed <= stage.limit) continue;
    if (!worst || stage.needed - stage.limit > worst->needed - worst->limit) worst = stage;
  }
  return worst;
}

std::string Shortage::to_string() const {
  if (not_splittable) {
    return str_cat("layer ", first_layer, " cannot be split over the devices of a stage");
  }
  return str_cat("stage ", stage, " (layers ", first_layer, " to ", last_layer, ") needs ",
                 gigabytes(needed), " of ", gigabytes(limit), ": states ", gigabytes(parts.states),
                 ", activations ", gigabytes(parts.activation),
                 ", with every layer under its leanest strategy");
}

}  // namespace soapbox::strategies::uniap
