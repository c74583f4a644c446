#include "strategies/miqp/stage_tables.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"

namespace soapbox::miqp {
namespace {

constexpr uint32_t kFirstLayer = ~uint32_t{0};

// to[r][l] = min over k of from[r][k] + table[k][l], plus added[l].
void extend(size_t rows, size_t count, const double* from, const double* table, const double* added,
            double* to) {
  for (size_t r = 0; r < rows; ++r) {
    double* const out = to + r * count;
    std::fill(out, out + count, kInfinity);
    for (size_t k = 0; k < count; ++k) {
      const double start = from[r * count + k];
      if (start == kInfinity) continue;
      const double* const row = table + k * count;
      for (size_t l = 0; l < count; ++l) out[l] = std::min(out[l], start + row[l]);
    }
    for (size_t l = 0; l < count; ++l) out[l] += added[l];
  }
}

// The same for memory, to which resharding adds nothing.
void extend_memory(size_t rows, size_t count, const double* from, const double* table,
                   const double* added, double* to) {
  for (size_t r = 0; r < rows; ++r) {
    double* const out = to + r * count;
    std::fill(out, out + count, kInfinity);
    for (size_t k = 0; k < count; ++k) {
      const double start = from[r * count + k];
      if (start == kInfinity) continue;
      const double* const row = table + k * count;
      for (size_t l = 0; l < count; ++l) {
        if (row[l] < kInfinity) out[l] = std::min(out[l], start);
      }
    }
    for (size_t l = 0; l < count; ++l) out[l] += added[l];
  }
}

}  // namespace

StageTables::StageTables(const StageCosts& costs, std::vector<std::vector<double>> lambdas)
    : costs_(costs), lambdas_(std::move(lambdas)) {
  SOAPBOX_CHECK(lambdas_.size() == costs.groups(), "multipliers for each group of stages");
}

uint32_t StageTables::root(size_t group, Kind kind) {
  const auto [at, is_new] =
      roots_.emplace(std::pair(group, kind), static_cast<uint32_t>(nodes_.size()));
  if (is_new) nodes_.emplace_back();
  return at->second;
}

uint32_t StageTables::child(uint32_t parent, size_t position, bool is_first) {
  const std::tuple key(parent, costs_.layer_type(position),
                       is_first ? kFirstLayer : costs_.edge_type(position));
  const auto [at, is_new] = children_.emplace(key, static_cast<uint32_t>(nodes_.size()));
  if (is_new) nodes_.emplace_back();
  return at->second;
}

// The rounding of a sum of so many terms and products is taken off before a
// bound is rounded up.
double StageTables::bound_of(size_t group, double lambda, double weight, size_t length) const {
  if (lambda == 0 || weight == kInfinity) return weight;
  const double allowance = lambda * costs_.limit(group);
  const double slack = (weight + allowance) * static_cast<double>(length + 2) * 0x1.0p-50;
  return std::ceil(weight - allowance - slack);
}

void StageTables::fill_node(size_t group, Kind kind, size_t position, uint32_t parent,
                            uint32_t node) {
  const size_t count = costs_.strategies();
  const std::vector<double>& lambdas = lambdas_[group];
  std::vector<double> weights((lambdas.size() + 1) * count);
  const std::vector<double>& before = nodes_[parent].weights;
  const double* const time = costs_.time(position, kind);
  const double* const memory = costs_.memory(group, position);
  std::vector<double> added(count);
  for (size_t j = 0; j <= lambdas.size(); ++j) {
    const bool memory_only = j == lambdas.size();
    for (size_t k = 0; k < count; ++k) {
      added[k] = memory_only ? (time[k] < kInfinity ? memory[k] : kInfinity)
                             : time[k] + lambdas[j] * memory[k];
    }
    double* const to = &weights[j * count];
    if (before.empty()) {
      std::copy(added.begin(), added.end(), to);
    } else {
      (memory_only ? extend_memory : extend)(1, count, &before[j * count], costs_.reshard(position),
                                             added.data(), to);
    }
  }
  nodes_[node].weights = std::move(weights);
}

std::span<const double> StageTables::coarse_row(size_t group, Kind kind, size_t first,
                                                double most) {
  row_.clear();
  const size_t count = costs_.strategies();
  const std::vector<double>& lambdas = lambdas_[group];
  uint32_t parent = root(group, kind);
  for (size_t b = first; b < costs_.positions(); ++b) {
    const uint32_t node = child(parent, b, b == first);
    if (nodes_[node].weights.empty()) {
      fill_node(group, kind, b, parent, node);
      const std::vector<double>& weights = nodes_[node].weights;
      double bound = 0;
      for (size_t j = 0; j <= lambdas.size(); ++j) {
        const auto from = weights.begin() + static_cast<std::ptrdiff_t>(j * count);
        const double least = *std::min_element(from, from + static_cast<std::ptrdiff_t>(count));
        if (j == lambdas.size()) {
          if (least > costs_.limit(group)) bound = kInfinity;
        } else {
          bound = std::max(bound, bound_of(group, lambdas[j], least, b - first + 1));
        }
      }
      nodes_[node].bound = bound;
    }
    if (nodes_[node].bound > most) break;
    row_.push_back(nodes_[node].bound);
    parent = node;
  }
  return row_;
}

StageTables::Key StageTables::key_of(size_t group, Kind kind, size_t first, size_t last) {
  uint32_t node = root(group, kind);
  for (size_t b = first; b <= last; ++b) node = child(node, b, b == first);
  return {group, kind, node, first == 0, last + 1 == costs_.positions()};
}

StageTable& StageTables::table(size_t group, Kind kind, size_t first, size_t last) {
  const auto at = tables_.find(key_of(group, kind, first, last));
  SOAPBOX_CHECK(at != tables_.end(), "the table was not built");
  return *at->second;
}

void StageTables::build(size_t group, Kind kind, size_t first, std::span<const uint32_t> lasts) {
  const size_t count = costs_.strategies();
  std::vector<StageTable*> wanted;
  for (const uint32_t last : lasts) {
    std::unique_ptr<StageTable>& table = tables_[key_of(group, kind, first, last)];
    if (table) continue;
    table = std::make_unique<StageTable>();
    table->group = group;
    table->kind = kind;
    table->first = first;
    table->last = last;
    table->rows = static_cast<uint32_t>(first == 0 ? 1 : count);
    table->columns = static_cast<uint32_t>(last + 1 == costs_.positions() ? 1 : count);
    table->bound.assign(table->rows * table->columns, 0);
    table->exact.assign(table->bound.size(), 0);
    wanted.push_back(table.get());
  }
  if (wanted.empty()) return;
  const size_t rows = first == 0 ? 1 : count;
  const std::vector<double>& lambdas = lambdas_[group];
  std::vector<double> from(rows * count);
  std::vector<double> to(rows * count);
  std::vector<double> added(count);
  for (size_t j = 0; j <= lambdas.size(); ++j) {
    const bool memory_only = j == lambdas.size();
    auto next = wanted.begin();
    for (size_t b = first; next != wanted.end(); ++b) {
      const double* const time = costs_.time(b, kind);
      const double* const memory = costs_.memory(group, b);
      for (size_t k = 0; k < count; ++k) {
        added[k] = memory_only ? (time[k] < kInfinity ? memory[k] : kInfinity)
                               : time[k] + lambdas[j] * memory[k];
      }
      if (b == first) {
        std::fill(to.begin(), to.end(), kInfinity);
        for (size_t k = 0; k < count; ++k) to[rows == 1 ? k : k * count + k] = added[k];
      } else {
        (memory_only ? extend_memory : extend)(rows, count, from.data(), costs_.reshard(b),
                                               added.data(), to.data());
      }
      std::swap(from, to);
      if (b < (*next)->last) continue;
      StageTable& table = **next++;
      for (size_t r = 0; r < rows; ++r) {
        for (size_t k = 0; k < count; ++k) {
          double& bound = table.bound[r * table.columns + (table.columns == 1 ? 0 : k)];
          const double weight = table.columns == 1
                                    ? *std::min_element(&from[r * count], &from[r * count] + count)
                                    : from[r * count + k];
          if (memory_only) {
            if (weight > costs_.limit(group)) bound = kInfinity;
          } else {
            bound = std::max(bound, bound_of(group, lambdas[j], weight, b - first + 1));
          }
          if (table.columns == 1) break;
        }
      }
    }
  }
}

}  // namespace soapbox::miqp
