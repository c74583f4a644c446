// Proposal distributions: how a local search changes its plan, and how it draws a fresh one.
//
// No proposal here is symmetric, and none reports its probability: searchers accept by the
// Metropolis rule without Hastings' correction. That is an optimiser, not a sampler of exp(-beta *
// cost): no equilibrium is claimed, only that every plan of the space can be reached from every
// other.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/rng.h"
#include "sim/simulate/evaluator.h"
#include "strategies/neighbourhood.h"

namespace soapbox::strategies {

struct ProposalRow {
  std::string_view name;
  std::string_view summary;
  // Overwrites `changes` with new configurations of one or more operators, each different from its
  // current one. REQUIRES: at least two devices, or else there is nothing to change.
  void (*propose)(const Neighbourhood& around, const Plan& current, Rng& rng,
                  std::vector<ConfigChange>& changes);
  Plan (*random_plan)(const Neighbourhood& around, Rng& rng);
};

std::span<const ProposalRow> proposal_table();  // sorted by name
// An empty name is the default.
Result<const ProposalRow*> find_proposals(std::string_view name);

// FlexFlow's (section 6.2): one uniformly drawn operator gets a uniformly drawn configuration.
void propose_uniform(const Neighbourhood& around, const Plan& current, Rng& rng,
                     std::vector<ConfigChange>& changes);
Plan uniform_plan(const Neighbourhood& around, Rng& rng);

// Configurations as they occur in good plans; see structured.cc.
void propose_structured(const Neighbourhood& around, const Plan& current, Rng& rng,
                        std::vector<ConfigChange>& changes);
Plan structured_plan(const Neighbourhood& around, Rng& rng);

// The configuration of another operator carried over: dimensions of the same name, and parameter
// dimensions, keep their degree as far as it divides, and a piece goes where the piece that it
// corresponds to is.
OpConfig adapt(const OpConfig& config, const Operator& from, const Operator& to);

}  // namespace soapbox::strategies
