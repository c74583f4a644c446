// The proof that a unified search found the optimum: a certificate (strategies/miqp) for every
// pipeline degree and number of micro-batches, of the plan for the best of them and of a bound at
// its objective for the others. It is checked against tables that are built anew, without a search.
#pragma once

#include <optional>
#include <vector>

#include "strategies/miqp/certificate.h"
#include "strategies/uniap/unified.h"

namespace soapbox::strategies::uniap {

struct CellProof {
  int32_t stages = 1;
  int64_t microbatches = 1;
  // Nothing: no assignment fits, which the tables alone show.
  std::optional<miqp::Certificate> certificate;
  friend bool operator==(const CellProof&, const CellProof&) = default;
};

// REQUIRES: the outcome is of the request, under the objective of evaluate(). Error: a cell without
// a certificate.
Result<std::vector<CellProof>> prove_search(const UnifiedRequest& request,
                                            const UnifiedOutcome& outcome);

struct SearchProofReport {
  std::optional<double> objective_s;  // of the best plan; none where no cell has one
  double bound_s = 0;                 // no plan of any cell costs less
  bool proven = false;                // they are equal, but for the rounding of times to integers
  size_t cells = 0;
  size_t leaves = 0;
  size_t entries = 0;
  double table_cpu_s = 0;
  double check_cpu_s = 0;
};
// Error: the first cell that is missing or whose certificate does not hold.
Result<SearchProofReport> check_search(const UnifiedRequest& request,
                                       const std::vector<CellProof>& proof);

}  // namespace soapbox::strategies::uniap
