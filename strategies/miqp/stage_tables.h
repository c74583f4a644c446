// Lower bounds of the time of every stage, by its layers and the strategies of
// its first and last.
//
// With multipliers lambda >= 0 of the memory row,
//   bound[ka][kb] = max over lambda of ceil(min over paths (time + lambda
//   memory) - lambda limit),
// infinite where even the least memory is above the limit. A coarse bound takes
// the minimum over both ends. Intervals of equal layers share what is computed
// (a trie over layer types). A coarse row takes O(length strategies^2) for each
// lambda, a table O(length strategies^3).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "strategies/miqp/stage_costs.h"

namespace soapbox::miqp {

// One table: rows are first strategies, columns last ones. The first stage's
// start and the last stage's end are free: one row, one column.
struct StageTable {
  size_t group = 0;
  Kind kind = Kind::kPlain;
  size_t first = 0;  // an interval that it stands for
  size_t last = 0;
  uint32_t rows = 1;
  uint32_t columns = 1;
  std::vector<double> bound;
  std::vector<uint8_t> exact;  // bound is the time itself
};

class StageTables {
 public:
  // `lambdas`: for each group, the multipliers; 0 is always among them.
  StageTables(const StageCosts& costs, std::vector<std::vector<double>> lambdas);

  // Coarse bounds of the intervals that start at `first`, from `first` to the
  // last position whose bound is at most `most`. Valid until the next call.
  std::span<const double> coarse_row(size_t group, Kind kind, size_t first, double most);

  // Makes the tables of the intervals [first, last] for each of `lasts`, which
  // increase.
  void build(size_t group, Kind kind, size_t first, std::span<const uint32_t> lasts);
  // REQUIRES: it was built.
  StageTable& table(size_t group, Kind kind, size_t first, size_t last);

  size_t table_count() const { return tables_.size(); }
  const StageCosts& costs() const { return costs_; }
  const std::vector<double>& lambdas(size_t group) const { return lambdas_[group]; }

 private:
  struct Node {
    double bound = 0;
    std::vector<double> weights;  // [lambda][strategy], the last of them the memory alone
  };
  using Key = std::tuple<size_t, Kind, uint32_t, bool,
                         bool>;  // group, kind, class, free ends

  uint32_t root(size_t group, Kind kind);
  uint32_t child(uint32_t parent, size_t position, bool is_first);
  Key key_of(size_t group, Kind kind, size_t first, size_t last);
  void fill_node(size_t group, Kind kind, size_t position, uint32_t parent, uint32_t node);
  double bound_of(size_t group, double lambda, double weight, size_t length) const;

  const StageCosts& costs_;
  std::vector<std::vector<double>> lambdas_;
  std::vector<Node> nodes_;
  std::map<std::pair<size_t, Kind>, uint32_t> roots_;
  std::map<std::tuple<uint32_t, uint32_t, uint32_t>, uint32_t> children_;
  std::vector<double> row_;
  std::map<Key, std::unique_ptr<StageTable>> tables_;
};

}  // namespace soapbox::miqp
