// An assignment of stages and strategies to the layers of an instance, and what
// it costs. Knows nothing of the solvers: it is the judge of their answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strategies/miqp/instance.h"

namespace soapbox::miqp {

struct Assignment {
  std::vector<uint32_t> stage;     // [layer]
  std::vector<uint32_t> strategy;  // [layer]
  friend bool operator==(const Assignment&, const Assignment&) = default;
};

struct Cost {
  std::vector<int64_t> stage_time;     // p_i, units
  std::vector<int64_t> boundary_time;  // o_j
  std::vector<int64_t> stage_memory;
  int64_t bottleneck = 0;  // max({p_i} u {o_j})
  int64_t objective = 0;   // equation (1)
};

// The cost of an assignment, from the equations of instance.h alone. Errors
// (kInfeasible) name the first constraint that it breaks, and by how much.
Result<Cost> cost_of(const Instance& instance, const Assignment& assignment);

}  // namespace soapbox::miqp
