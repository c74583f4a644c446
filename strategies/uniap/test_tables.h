// Random tables, and every assignment of small ones: the oracle of the planners.
#pragma once

#include <cstdint>
#include <functional>

#include "strategies/uniap/cost_tables.h"

namespace soapbox::strategies::uniap {

struct TableSpec {
  size_t layers = 5;
  size_t strategies = 3;
  int32_t stages = 2;
  int64_t microbatches = 4;
  double tightness = 0.5;  // 0: hardly anything fits, 1: everything does
  bool alike = false;      // all layers have the same costs
  bool skip_edge = false;  // from layer 0 to the last one
  bool one_forward = false;
};

CostTables random_tables(const TableSpec& spec, uint64_t seed);

// Calls `visit` with every assignment of non-empty contiguous stages and allowed strategies.
void for_each_assignment(const CostTables& tables,
                         const std::function<void(const Assignment&)>& visit);

}  // namespace soapbox::strategies::uniap
