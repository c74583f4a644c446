#include "strategies/miqp/stage_costs.h"

#include <map>
#include <utility>

namespace soapbox::miqp {
namespace {

double number(int64_t units) {
  return units == kNotAllowed ? kInfinity : static_cast<double>(units);
}

// The number of a row among the distinct rows seen so far.
uint32_t type_of(std::vector<double> row, std::map<std::vector<double>, uint32_t>& seen) {
  return seen.emplace(std::move(row), static_cast<uint32_t>(seen.size())).first->second;
}

}  // namespace

StageCosts::StageCosts(const Instance& in, const Chain& chain)
    : positions_(in.layers), strategies_(in.strategies) {
  std::map<std::pair<int64_t, int64_t>, size_t> groups;
  for (size_t i = 0; i < in.stages; ++i) {
    const int64_t in_flight = in.memory_per_microbatch.empty() ? 0 : in.in_flight(i);
    const auto [at, is_new] =
        groups.emplace(std::pair(in.memory_limit[i], in_flight), limit_.size());
    group_of_.push_back(at->second);
    if (!is_new) continue;
    limit_.push_back(number(in.memory_limit[i]));
    std::vector<double>& memory = memory_.emplace_back();
    for (const uint32_t u : chain.order) {
      for (size_t k = 0; k < strategies_; ++k) {
        memory.push_back(in.allowed(u, k) ? number(in.memory_at(i, u, k)) : 0);
      }
    }
  }
  for (const uint32_t u : chain.order) {
    for (size_t k = 0; k < strategies_; ++k) {
      time_[0].push_back(in.allowed(u, k) ? number(in.compute_at(u, k)) : kInfinity);
    }
  }
  time_[1] = time_[2] = time_[0];
  for (size_t u = 0; u < positions_; ++u) {
    for (const int64_t units : chain.reshard[u]) reshard_.push_back(number(units));
    for (const int64_t units : chain.reshard_cross[u]) reshard_cross_.push_back(number(units));
  }
  find_types();
}

void StageCosts::condition(const Instance& in, const Chain& chain, size_t hub, size_t strategy) {
  hub_ = hub;
  inside_extra_.assign(positions_ * strategies_, 0);
  cross_extra_ = inside_extra_;
  for (const SkipEdge& skip : chain.skips) {
    for (size_t l = 0; l < strategies_; ++l) {
      const size_t at = skip.to * strategies_ + l;
      inside_extra_[at] += number(in.reshard_at(skip.edge, strategy, l));
      cross_extra_[at] += number(in.reshard_cross_at(skip.edge, strategy, l));
    }
  }
  for (size_t k = 0; k < strategies_; ++k) {
    if (k != strategy) time_[0][hub * strategies_ + k] = kInfinity;
  }
  time_[1] = time_[2] = time_[0];
  for (size_t i = 0; i < time_[0].size(); ++i) {
    time_[1][i] += inside_extra_[i];
    time_[2][i] += cross_extra_[i];
  }
  find_types();
}

void StageCosts::find_types() {
  std::map<std::vector<double>, uint32_t> layers;
  std::map<std::vector<double>, uint32_t> edges;
  layer_type_.clear();
  edge_type_.clear();
  for (size_t u = 0; u < positions_; ++u) {
    std::vector<double> row;
    for (const std::vector<double>& times : time_) {
      row.insert(row.end(), &times[u * strategies_], &times[u * strategies_] + strategies_);
    }
    if (has_hub()) row.push_back(u == hub_ ? 1 : 0);
    for (const std::vector<double>& memory : memory_) {
      row.insert(row.end(), &memory[u * strategies_], &memory[u * strategies_] + strategies_);
    }
    layer_type_.push_back(type_of(std::move(row), layers));
    const double* table = reshard(u);
    edge_type_.push_back(
        type_of(std::vector<double>(table, table + strategies_ * strategies_), edges));
  }
}

}  // namespace soapbox::miqp
