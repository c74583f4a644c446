#include "strategies/uniap/candidates.h"

#include <algorithm>

#include "sim/base/divisors.h"
#include "strategies/uniap/planners.h"

namespace soapbox::strategies::uniap {
namespace {

using Origin = Candidate::Origin;

size_t draw_index(size_t count, Rng& rng) {
  return rng.below(static_cast<uint32_t>(count));
}

// Boundaries up to two layers off; every stage keeps a layer.
std::vector<size_t> draw_cut(const CostTables& tables, Rng& rng) {
  constexpr size_t kReach = 2;
  std::vector<size_t> begin = even_cut(tables);
  for (size_t i = 1; i < begin.size(); ++i) {
    const size_t least = begin[i - 1] + 1;
    const size_t most = tables.layers - (begin.size() - i);
    const size_t moved = begin[i] + draw_index(2 * kReach + 1, rng);  // kReach too far
    begin[i] = std::clamp(moved > kReach ? moved - kReach : 0, least, most);
  }
  return begin;
}

Assignment draw_plan(const CostTables& tables, Rng& rng) {
  Assignment plan{draw_cut(tables, rng), std::vector<size_t>(tables.layers)};
  for (size_t i = 0; i < plan.stage_begin.size(); ++i) {
    const size_t first = plan.stage_begin[i];
    const size_t end = plan.stage_end(i);
    const size_t change = first + draw_index(end - first, rng);
    const size_t before = draw_index(tables.strategies.size(), rng);
    const size_t after = draw_index(tables.strategies.size(), rng);
    for (size_t u = first; u < end; ++u) plan.strategy[u] = u < change ? before : after;
  }
  return plan;
}

}  // namespace

std::string to_string(Candidate::Origin origin) {
  switch (origin) {
    case Origin::kGrid:
      return "grid";
    case Origin::kSample:
      return "sample";
    case Origin::kNeighbour:
      return "neighbour";
  }
  return "?";
}

Candidates::Candidates(const LayerCosts& costs, const TableOptions& options, int64_t global_batch)
    : costs_(costs),
      options_(options),
      global_batch_(global_batch),
      microbatches_(divisors(global_batch)) {
  for (const auto stages : divisors<int32_t>(costs.device_count())) {
    if (static_cast<size_t>(stages) <= costs.layer_count()) stages_.push_back(stages);
  }
}

const CostTables& Candidates::tables(int32_t stages, int64_t microbatches) {
  const auto found = tables_.find({stages, microbatches});
  if (found != tables_.end()) return found->second;
  return tables_[{stages, microbatches}] =
             build_tables(costs_, options_, stages, microbatches, global_batch_);
}

bool Candidates::add(Origin origin, const CostTables& tables, Assignment plan) {
  for (size_t u = 0; u < tables.layers; ++u) {
    if (!tables.allowed[tables.at(u, plan.strategy[u])]) return false;
  }
  const Key key = {tables.stages, tables.microbatches, plan.stage_begin, plan.strategy};
  if (!known_.insert(key).second) return false;
  plans_.push_back({origin, &tables, std::move(plan)});
  return true;
}

void Candidates::add_grid() {
  for (const int32_t stages : stages_) {
    for (const int64_t microbatches : microbatches_) {
      const CostTables& cell = tables(stages, microbatches);
      for (size_t k = 0; k < cell.strategies.size(); ++k) {
        add(Origin::kGrid, cell, {even_cut(cell), std::vector<size_t>(cell.layers, k)});
      }
    }
  }
}

void Candidates::add_samples(size_t count, Rng& rng, const std::function<bool()>& stop) {
  constexpr size_t kDrawsPerPlan = 50;
  size_t added = 0;
  for (size_t draw = 0; draw < count * kDrawsPerPlan && added < count; ++draw) {
    if (stop && stop()) return;
    const int32_t stages = stages_[draw_index(stages_.size(), rng)];
    const int64_t microbatches = microbatches_[draw_index(microbatches_.size(), rng)];
    const CostTables& cell = tables(stages, microbatches);
    added += add(Origin::kSample, cell, draw_plan(cell, rng)) ? 1 : 0;
  }
}

void Candidates::add_neighbours(const CostTables& from, const Assignment& plan) {
  const CostTables& cell = tables(from.stages, from.microbatches);
  for (size_t i = 1; i < plan.stage_begin.size(); ++i) {
    Assignment moved = plan;
    if (plan.stage_begin[i] - 1 > plan.stage_begin[i - 1]) {
      --moved.stage_begin[i];
      add(Origin::kNeighbour, cell, moved);
    }
    moved = plan;
    if (plan.stage_begin[i] + 1 < plan.stage_end(i)) {
      ++moved.stage_begin[i];
      add(Origin::kNeighbour, cell, moved);
    }
  }
  for (size_t stage = 0; stage < plan.stage_begin.size(); ++stage) {
    for (size_t first = plan.stage_begin[stage]; first < plan.stage_end(stage);) {
      size_t end = first;
      while (end < plan.stage_end(stage) && plan.strategy[end] == plan.strategy[first]) ++end;
      for (size_t k = 0; k < cell.strategies.size(); ++k) {
        Assignment changed = plan;
        std::fill(changed.strategy.begin() + static_cast<ptrdiff_t>(first),
                  changed.strategy.begin() + static_cast<ptrdiff_t>(end), k);
        add(Origin::kNeighbour, cell, std::move(changed));
      }
      first = end;
    }
  }
  for (const int64_t microbatches : microbatches_) {
    add(Origin::kNeighbour, tables(from.stages, microbatches), plan);
  }
}

}  // namespace soapbox::strategies::uniap
