// The plans that a planner could have chosen: what its choice is held against when all of them are
// simulated (the oracle gap), and what an analytic cost must put into the right order.
//
//   grid        for every pipeline degree, number of micro-batches and strategy: the same strategy
//               for all layers, even stages. Complete; it is what people try by hand.
//   sample      drawn plans of the joint space, which is too large to enumerate: degree, number of
//               micro-batches, boundaries up to two layers off the even ones, and in each stage up
//               to two runs of a strategy each
//   neighbour   one step from a given plan: a boundary moved by one layer, another strategy for one
//               run of layers, another number of micro-batches
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/base/rng.h"
#include "strategies/uniap/build_tables.h"

namespace soapbox::strategies::uniap {

struct Candidate {
  enum class Origin : uint8_t { kGrid, kSample, kNeighbour };
  Origin origin = Origin::kGrid;
  const CostTables* tables = nullptr;  // of its degree and number of micro-batches
  Assignment assignment;
};

std::string to_string(Candidate::Origin origin);

// Each plan once, whether or not it fits into memory; every strategy in it is allowed.
class Candidates {
 public:
  // `costs` is kept by reference.
  Candidates(const LayerCosts& costs, const TableOptions& options, int64_t global_batch);

  void add_grid();
  // Fewer where drawing finds no more new ones, or when `stop` says so.
  void add_samples(size_t count, Rng& rng, const std::function<bool()>& stop = {});
  void add_neighbours(const CostTables& tables, const Assignment& assignment);

  const std::vector<Candidate>& plans() const { return plans_; }

 private:
  const CostTables& tables(int32_t stages, int64_t microbatches);
  bool add(Candidate::Origin origin, const CostTables& tables, Assignment assignment);

  const LayerCosts& costs_;
  TableOptions options_;
  int64_t global_batch_;
  std::vector<int32_t> stages_;
  std::vector<int64_t> microbatches_;
  std::map<std::pair<int32_t, int64_t>, CostTables> tables_;  // references stay valid
  using Key = std::tuple<int32_t, int64_t, std::vector<size_t>, std::vector<size_t>>;
  std::set<Key> known_;
  std::vector<Candidate> plans_;
};

}  // namespace soapbox::strategies::uniap
