// Planners with the cost models of their own publications, before all are compared under one.
//
//   alpa        its objective: no transfers between stages; 1F1B memory
//   galvatron   Galvatron-2's cost model and search on a profile (galvatron/galvatron2.h), every
//               number of micro-batches; strategies that a plan of ours can state
//   miqp and its ablations   UniAP's: the backward pass takes twice the forward pass
//
// A plan that its own model believes in need not run: only the simulation tells.
#pragma once

#include <span>
#include <string_view>

#include "strategies/galvatron/galvatron2.h"
#include "strategies/uniap/unified.h"

namespace soapbox::strategies::uniap {

struct OwnRequest {
  const UnifiedRequest& search;  // its costs give the tables of the plan that is found
  const galvatron::Galvatron2Profile& profile;  // of the same layers
  bool mixed_precision = false;
  Bytes memory;  // of a device
};

struct OwnAnswer {
  UnifiedOutcome outcome;  // objective.total_s is the planner's own
  TableOptions options;    // what its plan assumes: the schedule
};

struct OwnModelRow {
  std::string_view planner;
  std::string_view summary;
  OwnAnswer (*search)(const OwnRequest& request);
};
std::span<const OwnModelRow> own_model_table();  // sorted by planner
// Null where the planner came without a cost model.
const OwnModelRow* find_own_model(std::string_view planner);

}  // namespace soapbox::strategies::uniap
