#include "strategies/uniap/test_tables.h"

#include <algorithm>

#include "sim/base/rng.h"

namespace soapbox::strategies::uniap {
namespace {

void add_layers(const TableSpec& spec, Rng& rng, CostTables& tables) {
  for (size_t u = 0; u < spec.layers; ++u) {
    for (size_t k = 0; k < spec.strategies; ++k) {
      const size_t twin = tables.at(0, k);
      if (spec.alike && u > 0) {
        tables.allowed.push_back(tables.allowed[twin]);
        tables.compute_s.push_back(tables.compute_s[twin]);
        tables.communication_s.push_back(tables.communication_s[twin]);
        tables.memory.push_back(tables.memory[twin]);
        continue;
      }
      // Faster strategies need more memory.
      const double speed = 1 + static_cast<double>(k) + rng.uniform();
      tables.allowed.push_back(k == 0 || rng.below(8) > 0 ? 1 : 0);
      tables.compute_s.push_back(8 / speed);
      tables.communication_s.push_back(rng.uniform());
      const auto mb = static_cast<int64_t>(20 * speed);
      tables.memory.push_back({mebibytes(mb), mebibytes(1 + static_cast<int64_t>(rng.below(5)))});
    }
  }
}

}  // namespace

CostTables random_tables(const TableSpec& spec, uint64_t seed) {
  Rng rng(seed, 0);
  CostTables tables;
  tables.stages = spec.stages;
  tables.microbatches = spec.microbatches;
  tables.layers = spec.layers;
  for (size_t k = 0; k < spec.strategies; ++k) {
    tables.strategies.push_back({.tp = 1, .dp = static_cast<int32_t>(k) + 1, .fsdp = k % 2 == 1});
  }
  add_layers(spec, rng, tables);
  for (size_t u = 0; u + 1 < spec.layers; ++u) {
    tables.edges.push_back({u, u + 1});
    if (u == 0 && spec.skip_edge && spec.layers > 2) tables.edges.push_back({0, spec.layers - 1});
  }
  for (size_t e = 0; e < tables.edges.size(); ++e) {
    for (size_t entry = 0; entry < spec.strategies * spec.strategies; ++entry) {
      const bool same = entry / spec.strategies == entry % spec.strategies;
      tables.reshard_s.push_back(same ? 0 : rng.uniform());
      tables.reshard_cross_s.push_back(0.5 + rng.uniform());
    }
  }
  const double per_stage = static_cast<double>(spec.layers) / spec.stages;
  for (int32_t i = 0; i < spec.stages; ++i) {
    const double mb = per_stage * (25 + 80 * spec.tightness) + static_cast<double>(rng.below(10));
    tables.limit.push_back(mebibytes(static_cast<int64_t>(mb)));
    tables.in_flight.push_back(spec.one_forward
                                   ? std::min<int64_t>(spec.stages - i, spec.microbatches)
                                   : spec.microbatches);
  }
  return tables;
}

void for_each_assignment(const CostTables& tables,
                         const std::function<void(const Assignment&)>& visit) {
  const auto stages = static_cast<size_t>(tables.stages);
  const size_t n = tables.strategies.size();
  Assignment a{std::vector<size_t>(stages, 0), std::vector<size_t>(tables.layers, 0)};
  const std::function<void(size_t)> strategies = [&](size_t u) {
    if (u == tables.layers) return visit(a);
    for (size_t k = 0; k < n; ++k) {
      if (!tables.allowed[tables.at(u, k)]) continue;
      a.strategy[u] = k;
      strategies(u + 1);
    }
  };
  const std::function<void(size_t)> stage = [&](size_t i) {
    if (i == stages) return strategies(0);
    for (size_t first = a.stage_begin[i - 1] + 1; first + (stages - i) <= tables.layers; ++first) {
      a.stage_begin[i] = first;
      stage(i + 1);
    }
  };
  stage(1);
}

}  // namespace soapbox::strategies::uniap
