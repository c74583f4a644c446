// Alpa's intra-operator level (Zheng et al., OSDI 2022, section 4): one strategy for every
// operator.
//
//   min  sum over operators of s_i . d_i  +  sum over edges of e_ij . r_ij
//   sum s_i = 1;  sum over the rows of e_ij = s_j, over the columns = s_i
//   sum over live tensors of s_i . m_i <= memory, whenever an operator runs
//   a weight lies before and after its update in the same way
//
// d: what a strategy communicates, r: what it takes to bring an operand to where it is needed, m:
// the share of a result. All strategies compute equally fast. As in Alpa, a general solver solves
// it (strategies/miqp/milp_backend.h), within its tolerances.
#pragma once

#include <functional>
#include <vector>

#include "sim/base/result.h"
#include "strategies/alpa/op_strategies.h"
#include "strategies/miqp/milp.h"

namespace soapbox::strategies::alpa {

struct IntraOpOptions {
  double memory_bytes = 1e30;  // of a device
  // Whether an operator may have its result like this; all may where there is none.
  std::function<bool(size_t op, const Sharding& result)> allowed = {};
  double all_gather_s = 0;  // added to each: a large one forbids them
};

struct IntraOpPlan {
  double communication_s = 0;
  std::vector<Sharding> sharding;  // of each operator's result
};

// Error: no plan fits, or there is no general solver.
Result<IntraOpPlan> solve_intra_op(const OperatorGraph& graph, const Mesh& mesh,
                                   const IntraOpOptions& options = {});

// The program itself. Its first columns are s, operator by operator.
miqp::MilpModel intra_op_program(const OperatorGraph& graph, const Mesh& mesh,
                                 const std::vector<OpStrategies>& strategies,
                                 const IntraOpOptions& options);

}  // namespace soapbox::strategies::alpa
