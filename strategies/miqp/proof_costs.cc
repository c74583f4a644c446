#include "strategies/miqp/proof_costs.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "sim/base/str.h"

namespace soapbox::miqp {
namespace {

void add(int64_t& sum, int64_t units) {
  sum = sum == kUnlimited || units == kNotAllowed ? kUnlimited : sum + units;
}

int64_t largest(const int64_t* first, size_t count) {
  int64_t most = 0;
  for (size_t i = 0; i < count; ++i) {
    if (first[i] < kUnlimited) most = std::max(most, first[i]);
  }
  return most;
}

}  // namespace

Result<ProofCosts> ProofCosts::make(const Instance& in, std::optional<size_t> hub,
                                    size_t hub_strategy) {
  if (in.empty_stages) return bad_input("proofs by intervals do not know empty stages");
  const std::vector<uint32_t> order = topological_order(in);
  if (order.empty()) return bad_input("the layers form a cycle");
  ProofCosts costs;
  costs.positions_ = in.layers;
  costs.strategies_ = in.strategies;
  costs.microbatches_ = in.microbatches;
  costs.hub_ = hub.value_or(in.layers);
  costs.read_memory(in, order);
  costs.read_times(in, order, hub_strategy);
  if (Status status = costs.read_edges(in, order, hub_strategy); !status) return status.error();
  costs.find_types();
  costs.find_sums();
  return costs;
}

void ProofCosts::read_memory(const Instance& in, const std::vector<uint32_t>& order) {
  std::map<std::pair<int64_t, int64_t>, size_t> seen;
  for (size_t i = 0; i < in.stages; ++i) {
    const int64_t held = in.memory_per_microbatch.empty() ? 0 : in.in_flight(i);
    const auto [at, is_new] = seen.emplace(std::pair(in.memory_limit[i], held), seen.size());
    group_of_.push_back(at->second);
    if (!is_new) continue;
    limit_.push_back(in.memory_limit[i]);
    std::vector<int64_t>& rows = memory_.emplace_back();
    for (const uint32_t u : order) {
      for (size_t k = 0; k < in.strategies; ++k) {
        rows.push_back(in.allowed(u, k) ? in.memory_at(i, u, k) : 0);
      }
    }
  }
}

void ProofCosts::read_times(const Instance& in, const std::vector<uint32_t>& order,
                            size_t hub_strategy) {
  for (size_t u = 0; u < order.size(); ++u) {
    for (size_t k = 0; k < in.strategies; ++k) {
      const bool allowed = in.allowed(order[u], k) && (u != hub_ || k == hub_strategy);
      time_[0].push_back(allowed ? in.compute_at(order[u], k) : kUnlimited);
    }
  }
  time_[1] = time_[2] = time_[0];
}

Status ProofCosts::read_edges(const Instance& in, const std::vector<uint32_t>& order,
                              size_t hub_strategy) {
  std::vector<size_t> position(in.layers);
  for (size_t u = 0; u < in.layers; ++u) position[order[u]] = u;
  reshard_.assign(in.layers * in.strategies * in.strategies, 0);
  reshard_cross_ = reshard_;
  std::vector<bool> follows(in.layers, false);
  follows[0] = true;
  for (size_t e = 0; e < in.edges.size(); ++e) {
    const size_t from = position[in.edges[e].from];
    const size_t to = position[in.edges[e].to];
    if (to == from + 1) {
      follows[to] = true;
      int64_t* const inside = &reshard_[to * in.strategies * in.strategies];
      int64_t* const across = &reshard_cross_[to * in.strategies * in.strategies];
      for (size_t k = 0; k < in.strategies; ++k) {
        for (size_t l = 0; l < in.strategies; ++l) {
          add(inside[k * in.strategies + l], in.reshard_at(e, k, l));
          add(across[k * in.strategies + l], in.reshard_cross_at(e, k, l));
        }
      }
    } else if (from == hub_) {
      for (size_t l = 0; l < in.strategies; ++l) {
        add(time_[1][to * in.strategies + l], in.reshard_at(e, hub_strategy, l));
        add(time_[2][to * in.strategies + l], in.reshard_cross_at(e, hub_strategy, l));
      }
    }
  }
  const auto gap = std::find(follows.begin(), follows.end(), false);
  if (gap == follows.end()) return ok();
  return bad_input(str_cat("the layers are no path: none leads to layer ",
                           order[static_cast<size_t>(gap - follows.begin())],
                           " from the one before"));
}

void ProofCosts::find_types() {
  std::map<std::vector<int64_t>, uint32_t> seen;
  for (size_t u = 0; u < positions_; ++u) {
    std::vector<int64_t> row = {u == hub_ ? 1 : 0};
    for (const std::vector<int64_t>& times : time_) {
      row.insert(row.end(), &times[u * strategies_], &times[u * strategies_] + strategies_);
    }
    for (const std::vector<int64_t>& memory : memory_) {
      row.insert(row.end(), &memory[u * strategies_], &memory[u * strategies_] + strategies_);
    }
    row.insert(row.end(), reshard(u), reshard(u) + strategies_ * strategies_);
    type_.push_back(seen.emplace(std::move(row), static_cast<uint32_t>(seen.size())).first->second);
  }
}

void ProofCosts::find_sums() {
  for (size_t u = 0; u < positions_; ++u) {
    int64_t most = 0;
    for (const std::vector<int64_t>& times : time_) {
      most = std::max(most, largest(&times[u * strategies_], strategies_));
    }
    time_sum_ += most + largest(reshard(u), strategies_ * strategies_);
    most = 0;
    for (const std::vector<int64_t>& memory : memory_) {
      most = std::max(most, largest(&memory[u * strategies_], strategies_));
    }
    memory_sum_ += most;
  }
  for (const int64_t limit : limit_) memory_sum_ = std::max(memory_sum_, limit);
}

bool ProofCosts::in_range(int64_t shift, int64_t multiplier) const {
  if (shift < 0 || shift > 40 || multiplier < 0) return false;
  const double time = std::ldexp(static_cast<double>(time_sum_), static_cast<int>(shift));
  return time + static_cast<double>(multiplier) * static_cast<double>(memory_sum_) < 0x1.0p58;
}

}  // namespace soapbox::miqp
